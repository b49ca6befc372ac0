/** What the forecaster says of its interval, wide while it knows little; and the order of the bounds. */
import { describe, expect, test } from "bun:test";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  expectOrder,
  feedStream,
  gaussian,
  noise,
  randomWalk,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { seededRandom } from "./seeded-random.ts";

/** Of the forecasts made at points 0 to 200 of many series, the share whose interval held. */
function heldEarly(make: (seed: number) => Stream): number {
  let [inside, judged] = [0, 0];
  for (let seed = 1; seed <= 40; seed++) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    const waiting: { lower: number; upper: number }[] = [];
    feedStream(series, make(seed), { points: 210 }, (_, value) => {
      const due = waiting.length === 10 ? waiting.shift() : undefined;
      if (due !== undefined) {
        judged++;
        inside += value >= due.lower && value <= due.upper ? 1 : 0;
      }
      waiting.push(adaptiveForecastOf(series));
    });
  }
  return inside / judged;
}

test.each<[string, (seed: number) => Stream]>([
  ["independent noise", (seed) => noise(seed)],
  ["slow noise", (seed) => autoregressive(seed, 0.9, 3)],
  ["a walk", (seed) => randomWalk(seed, 0.3)],
  ["a steeper walk", (seed) => randomWalk(seed, 1)],
])("the first 200 intervals on %s hold at least 95 %%", (_, make) => {
  expect(heldEarly(make)).toBeGreaterThan(0.95);
});

describe("what is said of the interval", () => {
  test("it is wide and calibrating for 21 horizons, and as wide as the host's option with two points", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    expect(series.forecast()).toBeNull();
    feedStream(series, noise(2), { points: 400 }, (i) => {
      const { calibration, lower, upper, value, coverage } = adaptiveForecastOf(series);
      // 1 unit is possible after one horizon, half of it after two.
      const horizons = Math.max(0.2, (i * 30) / 300 - 1);
      if (i >= 15) expect(upper - value).toBeGreaterThanOrEqual(Math.max(0, 1 / horizons - 1e-9));
      if (i < 2) expect([lower, upper]).toEqual([0, expect.closeTo(value + 100, 9)]);
      else expect(upper - lower).toBeGreaterThan(3);
      expect(coverage === null).toBe(i < 30);
      expect(calibration === "calibrating", `point ${i}`).toBe(i < 210);
    });
    expect(adaptiveForecastOf(series).calibration).toBe("calibrated");
  });

  test("an error of one unit is possible after one horizon without any, of a tenth after ten", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(
      series,
      () => 50,
      { points: 600 },
      (i) => {
        const { lower, value, upper, atLeast, atMost } = adaptiveForecastOf(series);
        // The fifth outcome comes with point 14; before it, one unit. After forty horizons nothing is left of it.
        const horizons = Math.max(0.2, i / 10 - 1);
        const faded = Math.max(0, 1 - horizons / 40) / horizons;
        const halfWidth = i < 2 ? 50 : i < 14 ? 1 : faded;
        expect(value - lower).toBeCloseTo(halfWidth, 2);
        if (i < 2) return;
        for (const bound of [upper, atMost, 2 * value - atLeast])
          expect(bound - value).toBeCloseTo(halfWidth, 2);
      },
    );
  });

  test("before there are errors it is four times the range of the points and one unit more", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    for (const [i, value] of [50, 52, 51].entries()) series.push(startSeconds + i * 30, value, value);
    const { lower, upper, value } = adaptiveForecastOf(series);
    expect([value - lower, upper - value]).toEqual([expect.closeTo(5, 9), expect.closeTo(5, 9)]);
  });

  test.each([1, 2, 3, 4])("it is miscalibrated after an abrupt change, and recovers, seed %i", (seed) => {
    const random = seededRandom(seed);
    const stream: Stream = (t) => 50 + gaussian(random) * (t < 90_000 ? 0.5 : 10);
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    let first = 0;
    feedStream(series, stream, { points: 3_000 });
    expect(adaptiveForecastOf(series).calibration).toBe("calibrated");
    feedStream(series, stream, { points: 1_000, from: 3_000 }, (i) => {
      const { calibration, recentCoverage } = adaptiveForecastOf(series);
      if (first === 0 && calibration === "miscalibrated") first = i;
      expect(calibration).toBe((recentCoverage as number) < 0.9 ? "miscalibrated" : "calibrated");
    });
    // The share of the last 250 or so falls by 5 points with 14 misses: within two horizons and a half.
    expect(first - 3_000).toBeGreaterThan(0);
    expect(first - 3_000).toBeLessThan(25);
    expect(adaptiveForecastOf(series).calibration).toBe("calibrated");
  });

  test("the bounds keep their order when the value falls between two points that are taken", () => {
    // The line, which is right for long, says that all will be gone in a horizon; then it is nearly gone at once.
    const series = wasmAdaptive.createSeries({ ...adaptiveOptions, horizonSeconds: 3_000 });
    for (let i = 0; i < 4_000; i++) {
      const value = 50 + 45 * Math.sin(i / 40);
      series.push(startSeconds + i * 60, value, 50 + 45 * Math.sin((i + 50) / 40));
      expectOrder(adaptiveForecastOf(series), `point ${i}`);
      if (i < 3_000) continue;
      for (const [k, low] of [2, 0, 99].entries()) {
        series.push(startSeconds + i * 60 + 5 * (k + 1), low, 50);
        expectOrder(adaptiveForecastOf(series), `between points ${i}, at ${low}`);
      }
    }
    series.shift(-60);
    expectOrder(adaptiveForecastOf(series), "after a known step below 0");
  });
});
