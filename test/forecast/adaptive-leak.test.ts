/** A leak after a quiet day: the forecast soon follows it, which the last value never does. */
import { expect, test } from "bun:test";
import type { Kernel } from "../../src/forecast/forecaster.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { bothKernels } from "./kernels.ts";

const [, wasm] = (await bothKernels()) as [Kernel, Kernel];
const day = 2_880;

/** By the minutes since the leak began at which it was made: the forecast's error over the last value's, on average. */
function ratioWhile(quiet: (seed: number) => Stream, perMinute: number, from: number, to: number): number {
  let [errors, lastErrors] = [0, 0];
  for (let seed = 1; seed <= 5; seed++) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    const line = wasm.createSeries({ horizonSeconds: 300 });
    const stream = quiet(seed);
    const made: [number, number][] = [];
    for (let i = 0; i < day + 2 * to + 10; i++) {
      const value = stream(i * 30) + (Math.max(0, i - day) / 2) * perMinute;
      const tSeconds = startSeconds + i * 30;
      line.push(tSeconds, value);
      series.push(tSeconds, value, line.forecast()?.value ?? value);
      made.push([adaptiveForecastOf(series).value, value]);
      const minutes = (i - 10 - day) / 2;
      if (minutes < from || minutes >= to) continue;
      const [forecast, last] = made[i - 10] as [number, number];
      errors += Math.abs(value - forecast);
      lastErrors += Math.abs(value - last);
    }
    line.dispose();
  }
  return errors / lastErrors;
}

test.each<[string, (seed: number) => Stream]>([
  ["noise that stays", (seed) => autoregressive(seed, 0.7, 0.5)],
  ["almost nothing", (seed) => autoregressive(seed, 0.7, 0.01)],
  ["a constant", () => () => 50],
])("after 24 h of %s, a climb of 0.5 a minute is followed within 20 minutes", (_, quiet) => {
  // The last value errs by 2.5, five minutes of the climb.
  expect(ratioWhile(quiet, 0.5, 20, 50)).toBeLessThan(0.8);
  expect(ratioWhile(quiet, 0.5, 40, 70)).toBeLessThan(0.4);
});
