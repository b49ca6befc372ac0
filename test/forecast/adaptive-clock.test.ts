/** The clock is set: times move along, and the forecasts go on as if it had always been so. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import * as layout from "../../assembly/adaptive/layout.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  gaussian,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { seededRandom } from "./seeded-random.ts";

/** Whole weeks leave every time in its bin of the profiles. */
const weekSeconds = 604_800;

test("times from a clock set by whole weeks forecast what the others do, at their own time", () => {
  const weeks = fc.constantFrom(-2_000, -1, 1, 52);
  const moments = fc.noBias(fc.integer({ min: 1, max: 500 }));
  fc.assert(
    fc.property(fc.integer({ min: 1 }), weeks, moments, fc.constantFrom(2, 30, 400), (...given) => {
      const [seed, by, when, stepSeconds] = given;
      const random = seededRandom(seed);
      const [plain, moved] = [
        wasmAdaptive.createSeries(adaptiveOptions),
        wasmAdaptive.createSeries(adaptiveOptions),
      ];
      for (let i = 0; i < 700; i++) {
        const value = 50 + gaussian(random);
        const offset = i < when ? 0 : by * weekSeconds;
        if (i === when) moved.moveClock(offset);
        const t = startSeconds + i * stepSeconds;
        const what = `seed ${seed}, ${by} weeks at ${when}, every ${stepSeconds} s, point ${i}`;
        expect(plain.push(t, value, value), what).toBe("accepted");
        expect(moved.push(t + offset, value, value), what).toBe("accepted");
        if (i % 50 !== 0 && Math.abs(i - when) > 3) continue;
        const { atSeconds, targetSeconds, ...rest } = adaptiveForecastOf(moved);
        expect(
          { ...rest, atSeconds: atSeconds - offset, targetSeconds: targetSeconds - offset },
          what,
        ).toEqual(adaptiveForecastOf(plain));
        expect(moved.trend(), what).toEqual(plain.trend());
        expect(moved.news(), what).toEqual(plain.news());
      }
    }),
    // Of the example, 50 forecasts wait around the end of the ring of 80.
    { numRuns: 15, examples: [[1, 1, 300, 2]] },
  );
});

test("before the first point, by nothing, or by what is no number, nothing moves", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const empty = series.save();
  series.moveClock(3_600);
  expect(series.save()).toEqual(empty);
  for (let i = 0; i < 100; i++) series.push(startSeconds + i * 30, 50 + (i % 7), 50);
  const before = series.save();
  for (const seconds of [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    series.moveClock(seconds);
  expect(series.save()).toEqual(before);
});

test("of many errors in a horizon the full window keeps five, of few all", () => {
  for (const [stepSeconds, kept] of [
    [5, 5 / 60],
    [30, 5 / 10],
    [60, 1],
    [300, 1],
  ] as const) {
    const random = seededRandom(3);
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    const step = (i: number) => series.push(startSeconds + i * stepSeconds, 50 + gaussian(random), 50);
    for (let i = 0; i < 8_000; i++) step(i);
    expect(series.save()[layout.SCALED_ERRORS]).toBe(layout.ERRORS);
    let [pushed, oldest] = [0, series.save()[layout.SCALED_ERRORS + 1]];
    for (let i = 8_000; i < 8_120; i++) {
      step(i);
      const now = series.save()[layout.SCALED_ERRORS + 1];
      if (now !== oldest) pushed++;
      oldest = now;
    }
    expect(Math.abs(pushed - 120 * kept), `every ${stepSeconds} s`).toBeLessThanOrEqual(1);
  }
});
