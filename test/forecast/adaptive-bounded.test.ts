/** The memory has one length for ever, holds numbers only, and goes on in the other kernel as if nothing had been. */
import { expect, test } from "bun:test";
import { CELLS } from "../../assembly/adaptive/layout.ts";
import type { AdaptiveKernel } from "../../src/forecast/adaptive.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  feedStream,
  jsAdaptive,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";

test("a million points stay numbers in the same memory, and are still forecast well", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const stream = autoregressive(1, 0.7);
  feedStream(series, stream, { points: 1_000_000 });
  const cells = series.save();
  expect(cells.length).toBe(CELLS);
  expect(cells.every(Number.isFinite)).toBe(true);
  const { points, calibration, coverage, usualError, judged } = adaptiveForecastOf(series);
  expect({ points, calibration, judged }).toEqual({
    points: 1_000_000,
    calibration: "calibrated",
    judged: 1e6 - 30,
  });
  expect(Math.abs((coverage as number) - 0.95)).toBeLessThan(0.002);
  // The mean absolute value of an error with a deviation of 1, since nothing stays after ten steps.
  expect(Math.abs((usualError as number) / Math.sqrt(2 / Math.PI) - 1)).toBeLessThan(0.2);
}, 60_000);

test.each<[string, AdaptiveKernel, AdaptiveKernel]>([
  ["WASM to JavaScript", wasmAdaptive, jsAdaptive],
  ["JavaScript to WASM", jsAdaptive, wasmAdaptive],
])("saved and restored from %s, it goes on with the same bits", (_, from, to) => {
  const one = from.createSeries(adaptiveOptions);
  const other = to.createSeries(adaptiveOptions);
  feedStream(one, autoregressive(3, 0.9), { points: 1_234, stepSeconds: 17 });
  const saved = one.save();
  other.restore(saved);
  expect(other.forecast()).toEqual(one.forecast());
  expect(other.refused).toEqual(one.refused);
  const next = autoregressive(4, 0.9);
  const values = Array.from({ length: 1_000 }, (_, i) => next(i));
  for (const series of [one, other])
    for (const [i, value] of values.entries()) series.push(startSeconds + (1_234 + i) * 17, value, value);
  expect(new BigInt64Array(other.save().buffer)).toEqual(new BigInt64Array(one.save().buffer));
  expect(saved).not.toEqual(one.save());
});

test("a copy of the memory is one: what is pushed after does not reach it", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, autoregressive(1, 0.5), { points: 10 });
  const saved = series.save();
  const copy = saved.slice();
  feedStream(series, autoregressive(1, 0.5), { points: 10, from: 10 });
  expect(saved).toEqual(copy);
});

test("restore takes the threshold of its own options, and refuses another length", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, (t) => 1 + t / 60, { points: 50, stepSeconds: 60 });
  const other = jsAdaptive.createSeries({ ...adaptiveOptions, threshold: 90 });
  other.restore(series.save());
  expect(other.trend().crossing?.seconds).toBeCloseTo(2_400, 4);
  for (const length of [0, CELLS - 1, CELLS + 1])
    expect(() => other.restore(new Float64Array(length))).toThrow(RangeError);
});

test("reset forgets everything: the same points leave the same bits again", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, autoregressive(1, 0.9), { points: 500 });
  const first = series.save();
  series.trend();
  series.push(0, 0, 0);
  feedStream(series, () => 90, { points: 700, from: 500 });
  series.reset();
  expect(series.forecast()).toBeNull();
  expect(series.refused).toEqual({ notFinite: 0, repeated: 0, backward: 0 });
  feedStream(series, autoregressive(1, 0.9), { points: 500 });
  expect(new BigInt64Array(series.save().buffer)).toEqual(new BigInt64Array(first.buffer));
});

test("points are refused by what is wrong with them, and change nothing but the counter", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, autoregressive(1, 0.9), { points: 100 });
  const [before, t] = [adaptiveForecastOf(series), startSeconds + 99 * 30];
  for (const [tSeconds, value, line, result] of [
    [Number.NaN, 50, 50, "not-finite"],
    [t + 30, Number.NEGATIVE_INFINITY, 50, "not-finite"],
    [t + 30, 50, 1.1e100, "not-finite"],
    [t, 50, 50, "repeated"],
    [t + 5e-7, 50, 50, "repeated"],
    [t - 0.001, 50, 50, "backward"],
  ] as const)
    expect(series.push(tSeconds, value, line)).toBe(result as never);
  expect(series.refused).toEqual({ notFinite: 3, repeated: 2, backward: 1 });
  expect(series.forecast()).toEqual(before);
  expect(series.push(t + 30, 50, 50)).toBe("accepted");
});
