import { describe, expect, test } from "bun:test";
import type { Batch } from "../../src/forecast/batch.ts";
import type { Forecast, Kernel, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { exactLine } from "./exact-line.ts";
import { goldenWindows } from "./golden-windows.ts";
import { hardStreams } from "./hard-windows.ts";
import { seriesOf } from "./kernels.ts";

const golden = await goldenWindows();
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Ticks a batch with the same values as `valuesAt` gives for each series; answers the batch. */
function ticked(
  kernel: Kernel,
  options: Partial<SeriesOptions> & { series: number },
  times: readonly number[],
  valueAt: (series: number, tick: number) => number,
): Batch {
  const batch = kernel.createBatch(options);
  times.forEach((tSeconds, tick) => {
    for (let s = 0; s < options.series; s++) batch.values[s] = valueAt(s, tick);
    expect(batch.tick(tSeconds)).toBe("accepted");
  });
  return batch;
}

/** Fails unless two forecasts agree to 12 digits of what they are made of. */
function expectSameForecast(
  actual: Forecast | null,
  expected: Forecast | null,
  what: string,
  scale = 0,
): void {
  expect(actual?.state, what).toBe(expected?.state);
  if (!actual || !expected) return;
  expect([actual.points, actual.atSeconds, actual.targetSeconds], what).toEqual([
    expected.points,
    expected.atSeconds,
    expected.targetSeconds,
  ]);
  const wide = Math.max(scale, Math.abs(expected.value), expected.upper - expected.value);
  for (const field of ["value", "smoothed", "lower", "upper"] as const)
    expectClose(actual[field], expected[field], 1e-11, `${what}: ${field}`, wide);
  expectClose(actual.slopePerSecond, expected.slopePerSecond, 1e-11, `${what}: slope`, wide / 300);
  expectClose(actual.residualDeviation, expected.residualDeviation, 1e-10, `${what}: deviation`, wide * 1e-4);
}

/** What any kernel's batch must do. */
export function batchContract(name: string, createKernel: () => Promise<Kernel>): void {
  describe(`${name} batch`, async () => {
    const kernel = await createKernel();
    fitsLikeTheReferences(kernel);
    forecastsLikeASeries(kernel);
    leavesGaps(kernel);
    boundsItself(kernel);
  });
}

function fitsLikeTheReferences(kernel: Kernel): void {
  test.each(golden.windows.map((window) => [window.id, window] as const))(
    "fits reference window %i",
    (_, window) => {
      const batch = ticked(
        kernel,
        { series: 11 },
        window.t,
        (s, tick) => (window.y[tick] as number) * (s + 1),
      );
      const { exact } = window.expected;
      for (const s of [0, 7, 10]) {
        const forecast = batch.forecast(s) as Forecast;
        expectClose(forecast.slopePerSecond, exact.slope_per_s * (s + 1), 1e-12, "slope");
        expectClose(forecast.value, exact.forecast_300s * (s + 1), 1e-12, "forecast");
        expectClose(forecast.residualDeviation, Math.sqrt(exact.resid_var) * (s + 1), 1e-12, "deviation");
      }
    },
  );

  test("keeps 12 digits of the exact line on every hard stream, wherever its turns fall", () => {
    for (const windowPoints of [3, 8, 50]) {
      const series = 2048;
      const times = range(3 * windowPoints + 2).map((i) => 1.7e9 + i * 5 + (i > 20 ? 86_400 : 0));
      const streamOf = (s: number) =>
        hardStreams[(s >> 3) % hardStreams.length] as (typeof hardStreams)[number];
      const valueAt = (s: number, tick: number): number => streamOf(s).point(tick + s)[1];
      const batch = ticked(kernel, { series, windowPoints }, times, valueAt);
      for (let s = 0; s < series; s += 8) {
        const window = range(windowPoints).map((i) => times.length - windowPoints + i);
        const values = window.map((tick) => valueAt(s, tick));
        const forecast = batch.forecast(s) as Forecast;
        const windowTimes = window.map((tick) => times[tick] as number);
        const exact = exactLine(windowTimes, values, forecast.targetSeconds);
        const spread = Math.max(...values) - Math.min(...values);
        const run = (windowTimes.at(-1) as number) - (windowTimes[0] as number);
        expectClose(forecast.slopePerSecond, exact.slopePerSecond, 1e-12, `series ${s}: slope`, spread / run);
        expectClose(forecast.value, exact.value, 1e-12, `series ${s}: forecast`, spread * (1 + 300 / run));
      }
    }
  });
}

function forecastsLikeASeries(kernel: Kernel): void {
  test.each([
    { windowPoints: 50 },
    { windowPoints: 7, minPoints: 5 },
    { windowPoints: 3, emaAlpha: 1 },
    { windowPoints: 2 },
    { windowPoints: 1 },
    { windowPoints: 60, minPoints: 60, horizonSeconds: 60, coldHalfWidth: 8 },
  ])("agrees with single series at every tick, %j", (options) => {
    const batch = kernel.createBatch({ series: 13, ...options });
    const singles = range(13).map(() => kernel.createSeries(options));
    const valueAt = (s: number, i: number): number => s * 1e3 + ((i * i * (37 + s)) % 101) / 7 + i / (s + 1);
    for (const i of range(150)) {
      const tSeconds = 1.7e9 + i * 5 + (i % 3) / 7;
      singles.forEach((series, s) => {
        batch.values[s] = valueAt(s, i);
        series.push(tSeconds, valueAt(s, i));
      });
      batch.tick(tSeconds);
      for (const s of [0, 7, 8, 12])
        expectSameForecast(batch.forecast(s), singles[s]?.forecast() ?? null, `tick ${i}, series ${s}`);
    }
    for (const series of singles) series.dispose();
  });

  test("an empty batch has no forecasts, and a reset one neither; then it starts again at any time", () => {
    const batch = kernel.createBatch({ series: 9 });
    expect(batch.forecast(8)).toBeNull();
    for (const i of range(120)) {
      batch.values.fill(i);
      batch.tick(1000 + i);
    }
    batch.reset();
    expect(batch.forecast(8)).toBeNull();
    for (const i of range(60)) {
      batch.values.fill(50 + (i % 7));
      batch.tick(i);
    }
    const alone = seriesOf(
      kernel,
      range(60),
      range(60).map((i) => 50 + (i % 7)),
    );
    expectSameForecast(batch.forecast(8), alone.forecast(), "after the reset");
    alone.dispose();
  });
}

function leavesGaps(kernel: Kernel): void {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.1e100, -1e308];

  test.each(bad)(
    "%p in one series changes no bit of another, and nothing once it has left the window",
    (poison) => {
      const valueAt = (s: number, i: number): number => s + ((i * 7919 + s * 31) % 1009) / 100;
      const [clean, poisoned] = [kernel.createBatch({ series: 24 }), kernel.createBatch({ series: 24 })];
      for (const i of range(240)) {
        for (const s of range(24)) {
          clean.values[s] = valueAt(s, i);
          poisoned.values[s] = s === 10 && i >= 70 && i < 73 ? poison : valueAt(s, i);
        }
        clean.tick(i * 5);
        poisoned.tick(i * 5);
        for (const s of [0, 8, 9, 11, 15, 23])
          expect(poisoned.forecast(s), `series ${s} at ${i}`).toEqual(clean.forecast(s) as Forecast);
      }
      expectSameForecast(poisoned.forecast(10), clean.forecast(10), "after the gap");
      expect(poisoned.refused(10)).toEqual({ missing: 3, ticks: 0 });
      expect(poisoned.refused(9)).toEqual({ missing: 0, ticks: 0 });
    },
  );

  test("a series with gaps is fitted to the points that are there, as a series of them alone", () => {
    const options = { windowPoints: 60, minPoints: 5 };
    const batch = kernel.createBatch({ series: 3, ...options });
    const alone = kernel.createSeries(options);
    for (const i of range(60)) {
      const value = 40 + ((i * 37) % 11) + i / 4;
      const missing = i % 4 === 1 || i < 3;
      batch.values.fill(value);
      batch.values[1] = missing ? Number.NaN : value;
      const before = batch.forecast(1);
      batch.tick(1.7e9 + i * 5);
      if (missing) expect(batch.forecast(1), `gap at ${i}`).toEqual(before);
      else alone.push(1.7e9 + i * 5, value);
      expectSameForecast(batch.forecast(1), alone.forecast(), `tick ${i}`);
    }
    alone.dispose();
  });

  test("a series that stays away loses its forecast with its last point, and starts cold when it is back", () => {
    const batch = kernel.createBatch({ series: 2, windowPoints: 12 });
    const tick = (i: number, value: number): void => {
      batch.values[0] = value;
      batch.values[1] = i % 5;
      batch.tick(i);
    };
    for (const i of range(30)) tick(i, i % 3);
    const last = batch.forecast(0);
    for (const i of range(11)) tick(30 + i, Number.NaN);
    expect(batch.forecast(0)).toEqual(last);
    tick(41, Number.NaN);
    expect(batch.forecast(0)).toBeNull();
    tick(42, 7);
    expect(batch.forecast(0)).toMatchObject({ state: "cold", points: 1, value: 7, lower: -93, upper: 107 });
    for (const i of range(30)) tick(43 + i, 7 + (i % 2));
    expect(batch.forecast(0)).toMatchObject({ state: "ready", points: 12, atSeconds: 72 });
  });

  test("values that nobody wrote are missing", () => {
    const batch = kernel.createBatch({ series: 2 });
    batch.values[0] = 1;
    batch.tick(0);
    expect(batch.forecast(1)).toBeNull();
    expect(batch.refused(1)).toEqual({ missing: 1, ticks: 0 });
  });
}

function boundsItself(kernel: Kernel): void {
  test("refuses times that are not finite, repeated or backward, and changes nothing", () => {
    const batch = ticked(kernel, { series: 5 }, range(20), (s, i) => s + (i % 3));
    const before = batch.forecast(4);
    batch.values.fill(1e9);
    const times = [Number.NaN, Number.POSITIVE_INFINITY, 1.1e100, 19, 19 + 1e-7, 18];
    expect(times.map((tSeconds) => batch.tick(tSeconds))).toEqual([
      ...(["not-finite", "not-finite", "not-finite"] as const),
      ...(["repeated", "repeated", "backward"] as const),
    ]);
    expect(batch.forecast(4)).toEqual(before);
    expect(batch.refused(4)).toEqual({ missing: 0, ticks: 6 });
  });

  test.each([
    [{ series: 0 }, "series is 0"],
    [{ series: 1.5 }, "series is 1.5"],
    [{ series: 65_537 }, "series is 65537"],
    [{ series: 8, windowPoints: 1025 }, "windowPoints"],
    [{ series: 65_536, windowPoints: 1000 }, "MiB"],
  ])("refuses to be made with %j", (options, named) => {
    expect(() => kernel.createBatch(options)).toThrow(RangeError);
    expect(() => kernel.createBatch(options)).toThrow(named);
  });

  test("has no forecast for a series that is not there", () => {
    const batch = kernel.createBatch({ series: 3 });
    for (const series of [-1, 3, 0.5, Number.NaN]) {
      expect(() => batch.forecast(series)).toThrow(RangeError);
      expect(() => batch.refused(series)).toThrow(RangeError);
    }
  });

  test("holds 65,536 series of 50 points", () => {
    const batch = ticked(kernel, { series: 65_536 }, range(54), (s, i) => s + (i % 3));
    expect(batch.forecast(65_535)).toMatchObject({ state: "ready", points: 50 });
  });
}
