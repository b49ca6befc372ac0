/** A step whose cause is known: the forecaster goes on as if the level had always been so. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AdaptiveForecast, AdaptiveSeries } from "../../src/forecast/adaptive.ts";
import { adaptiveForecastOf, gaussian, startSeconds, wasmAdaptive } from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";
import { seededRandom } from "./seeded-random.ts";

const levels = ["value", "lower", "upper", "atLeast", "atMost"] as const;
const others = ["points", "atSeconds", "coverage", "recentCoverage", "judged", "calibration"] as const;
const options = { horizonSeconds: 300, threshold: 800, coldHalfWidth: 100 };

/** Everything alike but the levels, which differ by `step`. */
function expectShifted(one: AdaptiveForecast, other: AdaptiveForecast, step: number, what: string): void {
  for (const field of levels) expectClose(other[field] - step, one[field], 1e-9, `${what}: ${field}`, 500);
  for (const field of others) expect(other[field], `${what}: ${field}`).toBe(one[field]);
  expectClose(other.usualError ?? 0, one.usualError ?? 0, 1e-7, `${what}: usual error`, 1);
  for (const [name, weight] of Object.entries(one.weights))
    expect(Math.abs(other.weights[name as "last"] - weight), `${what}: weight of ${name}`).toBeLessThan(1e-6);
}

function expectSameTrend(one: AdaptiveSeries, other: AdaptiveSeries, what: string): void {
  const [trend, shifted] = [one.trend(), other.trend()];
  for (const field of ["slopePerSecond", "slopeLower", "slopeUpper"] as const)
    expectClose(shifted[field], trend[field], 1e-6, `${what}: ${field}`, 0.01);
  expect(shifted.significant).toBe(trend.significant);
}

test("x, then a shift by s, then x + s forecasts what x all along does, plus s", () => {
  const step = fc.double({ min: -200, max: 200, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      step,
      fc.noBias(fc.integer({ min: 1, max: 900 })),
      fc.constantFrom(2, 30, 400),
      (...given) => {
        const [seed, by, at, stepSeconds] = given;
        const random = seededRandom(seed);
        const [plain, moved] = [wasmAdaptive.createSeries(options), wasmAdaptive.createSeries(options)];
        let state = 0;
        for (let i = 0; i < 1_200; i++) {
          const t = startSeconds + i * stepSeconds;
          state = 0.9 * state + gaussian(random);
          const line = 500 + 2 * state * random.unit();
          const offset = i < at ? 0 : by;
          if (i === at) moved.shift(by);
          const what = `seed ${seed}, ${by} at ${at}, every ${stepSeconds} s, point ${i}`;
          if (i === at)
            expectShifted(adaptiveForecastOf(plain), adaptiveForecastOf(moved), by, `${what}, just after`);
          plain.push(t, 500 + state, line);
          moved.push(t, 500 + state + offset, line + offset);
          if (i > at && (i < at + 40 || i % 50 === 0))
            expectShifted(adaptiveForecastOf(plain), adaptiveForecastOf(moved), by, what);
          if (Math.abs(plain.news().riseRatio - moved.news().riseRatio) > 1e-6)
            throw new Error(`${what}: the rise`);
        }
        expectSameTrend(plain, moved, `seed ${seed}`);
      },
    ),
    // Of the example, 50 forecasts wait around the end of the ring of 80.
    { numRuns: 40, examples: [[1, 100, 300, 2]] },
  );
}, 60_000);

test("a day's profile moves, too", () => {
  const [plain, moved] = [wasmAdaptive.createSeries(options), wasmAdaptive.createSeries(options)];
  const random = seededRandom(12);
  for (let i = 0; i < 12 * 288; i++) {
    const t = startSeconds + i * 300;
    const value = 500 + 20 * Math.sin((2 * Math.PI * i) / 288) + gaussian(random);
    const offset = i < 9 * 288 + 77 ? 0 : -150;
    if (i === 9 * 288 + 77) moved.shift(-150);
    plain.push(t, value, value);
    moved.push(t, value + offset, value + offset);
    if (offset !== 0) expectShifted(adaptiveForecastOf(plain), adaptiveForecastOf(moved), -150, `point ${i}`);
  }
});

test("a shift forth and back, of nothing, or before the first point changes nothing", () => {
  const series = wasmAdaptive.createSeries(options);
  const empty = series.save();
  series.shift(5);
  expect(series.save()).toEqual(empty);
  for (let i = 0; i < 300; i++) series.push(startSeconds + i * 30, 64 + (i % 16), 64);
  const before = adaptiveForecastOf(series);
  series.shift(0);
  expect(adaptiveForecastOf(series)).toEqual(before);
  series.shift(32);
  expect(adaptiveForecastOf(series).value).toBeCloseTo(before.value + 32, 9);
  series.shift(-32);
  for (const field of levels) expect(adaptiveForecastOf(series)[field]).toBeCloseTo(before[field], 9);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  "a shift by %d is none",
  (step) => {
    const series = wasmAdaptive.createSeries(options);
    for (let i = 0; i < 100; i++) series.push(startSeconds + i * 30, 64 + (i % 16), 64);
    const before = series.save();
    series.shift(step);
    expect(series.save()).toEqual(before);
  },
);
