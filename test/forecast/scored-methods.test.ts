/** The methods as they are scored: what they answer, and that either kernel gives the same score. */

import { expect, test } from "bun:test";
import type { AdaptiveKernel } from "../../src/forecast/adaptive.ts";
import {
  createJsAdaptiveKernel,
  createWasmAdaptiveKernel,
  readAdaptiveModule,
} from "../../src/forecast/adaptive-kernels.ts";
import { LastValue } from "../../src/forecast/last-value.ts";
import { scoreMethods } from "../../src/forecast/score.ts";
import { type ScoredMethod, scoredMethods } from "../../src/forecast/scored-methods.ts";
import { bothKernels, forecastOf } from "./kernels.ts";

const wavy = (i: number): number => 40 + i * 0.02 + ((i * 7919) % 1009) / 200;

function made(methods: ReturnType<typeof scoredMethods>, name: string): ScoredMethod {
  const factory = methods.find((method) => method.name === name);
  if (!factory) throw new Error(`no method ${name}`);
  return factory.create(300);
}

test("ols is the line's value with its interval; ols_ema its moving average with the interval of the line", async () => {
  for (const kernel of await bothKernels()) {
    const [ols, average] = ["ols", "ols_ema"].map((name) =>
      made(scoredMethods(kernel, createJsAdaptiveKernel()), name),
    );
    const series = kernel.createSeries({ windowPoints: 50, emaAlpha: 0.7, horizonSeconds: 300 });
    expect([ols?.forecast(), average?.forecast()]).toEqual([null, null]);
    for (let i = 0; i < 130; i++) {
      for (const one of [ols, average, series]) one?.push(i * 30, wavy(i));
      const { value, smoothed, lower, upper } = forecastOf(series);
      expect(ols?.forecast()).toMatchObject({ value, lower, upper });
      expect(average?.forecast()).toEqual({ value: smoothed, lower, upper });
    }
  }
});

test("methods give back their series: more are made than a kernel holds", async () => {
  for (const kernel of await bothKernels(2)) {
    const series = Array.from({ length: 5 }, (_, seg) => ({
      file: "f",
      sys: "s",
      seg: `${seg}`,
      tSeconds: Float64Array.from({ length: 80 }, (_, i) => i * 60),
      values: Float64Array.from({ length: 80 }, (_, i) => wavy(i + seg)),
    }));
    const options = {
      methods: scoredMethods(kernel, createJsAdaptiveKernel()),
      horizonSeconds: 300,
      nowNs: () => 0,
      warmUpTicks: 100,
    };
    expect(scoreMethods(series, options).overall.ols?.n).toBe(5 * 15);
  }
});

test("both kernels score the same", async () => {
  const values = Float64Array.from({ length: 3_000 }, (_, i) => wavy(i));
  const tSeconds = values.map((_, i) => i * 30 + (i % 7));
  const series = [{ file: "f", sys: "s", seg: "0", tSeconds, values }];
  const adaptive = [createJsAdaptiveKernel(), await createWasmAdaptiveKernel(await readAdaptiveModule())];
  const [js, wasm] = (await bothKernels()).map((kernel, i) =>
    scoreMethods(series, {
      methods: scoredMethods(kernel, adaptive[i] as AdaptiveKernel),
      horizonSeconds: 300,
      nowNs: () => 0,
    }),
  );
  expect(js?.overall.ols?.n).toBeGreaterThan(2_900);
  expect(js).toEqual(wasm);
});

test("last has none after one point; then a random walk's interval about the last value", () => {
  const last = new LastValue(300);
  expect(last.forecast()).toBeNull();
  last.push(0, 10);
  expect(last.forecast()).toBeNull();
  last.push(60, 13);
  last.push(120, 11);
  // (9 / 60 + 4 / 60) / 2 * 300 = 32.5; t(0.975, 2) = 4.302652729749464
  const half = 4.302652729749464 * Math.sqrt(32.5);
  const { value, lower, upper } = last.forecast() ?? {};
  expect(value).toBe(11);
  expect(lower).toBeCloseTo(11 - half, 12);
  expect(upper).toBeCloseTo(11 + half, 12);
});

test("last's interval knows 50 increments, and nothing of a jump before them", () => {
  const last = new LastValue(300);
  last.push(0, 0);
  for (let i = 1; i <= 50; i++) last.push(i * 5, 1e9);
  expect(last.forecast()?.upper).toBeGreaterThan(1e9);
  last.push(51 * 5, 1e9);
  expect(last.forecast()).toMatchObject({ value: 1e9, lower: 1e9, upper: 1e9 });
});
