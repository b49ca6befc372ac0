/** The mix of experts: its weights, who leads it, and the exponential that makes them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decay } from "../../assembly/adaptive/experts.ts";
import type { AdaptiveForecast } from "../../src/forecast/adaptive.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  feedStream,
  gaussian,
  noise,
  randomWalk,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { seededRandom } from "./seeded-random.ts";

function forecastAfter(stream: Stream, points: number): AdaptiveForecast {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, stream, { points });
  return adaptiveForecastOf(series);
}

describe("the exponential", () => {
  test("is within x² / 2048 of exp(-x), falls, and lies in 0..1", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1_100, noNaN: true }), (x) => {
        expect(Math.abs(decay(x) - Math.exp(-x))).toBeLessThanOrEqual((x * x) / 2048 + 1e-13);
        expect(decay(x + 0.1)).toBeLessThanOrEqual(decay(x));
        expect(decay(x)).toBeLessThanOrEqual(1);
        expect(decay(x)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test.each([
    [0, 1],
    [1, (1 - 1 / 1024) ** 1024],
    [2, (1 - 2 / 1024) ** 1024],
    [1024, 0],
    [1e300, 0],
  ])("of %d is %d", (x, expected) => {
    expect(decay(x)).toBeCloseTo(expected, 12);
  });
});

describe("the weights", () => {
  test("sum to 1 and are never below 0", () => {
    for (const stream of [noise(1), randomWalk(2), autoregressive(3, 0.9), () => 0]) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      feedStream(series, stream, { points: 2_000 }, () => {
        const weights = Object.values(adaptiveForecastOf(series).weights);
        expect(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1)).toBeLessThan(1e-12);
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
      });
    }
  });

  test("begin as equals but for the line, which begins 20 losses behind", () => {
    const { last, line, scales, autoregression, periodic } = forecastAfter(noise(1), 1).weights;
    expect([scales, autoregression, periodic]).toEqual([last, last, last]);
    expect(line / last).toBeCloseTo((1 - 4 / 1024) ** 1024, 12);
  });

  test("after one outcome are as the losses say: that of the last value is 1, the line's its error over it", () => {
    const series = wasmAdaptive.createSeries({ ...adaptiveOptions, horizonSeconds: 60 });
    // The last value misses by 4, which is the usual error; the line, at 53, by 1. The regressions know nothing yet.
    series.push(startSeconds, 50, 53);
    series.push(startSeconds + 60, 54, 54);
    const { last, line, scales } = adaptiveForecastOf(series).weights;
    expect(scales / last).toBeCloseTo(1, 12);
    expect(line / last).toBeCloseTo(decay(0.2 * (20 * 0.998 + 0.25 - 1)), 9);
  });

  test("go to the line where only it is right", () => {
    // Each outcome is known to the line's caller, and to nobody else.
    const random = seededRandom(8);
    const values = Array.from({ length: 1_200 }, () => 50 + 5 * gaussian(random));
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    for (let i = 0; i + 10 < values.length; i++)
      series.push(startSeconds + i * 30, values[i] as number, values[i + 10] as number);
    const { weights } = adaptiveForecastOf(series);
    expect(weights.line, `seed ${random.seed}`).toBeGreaterThan(0.99);
  });

  test("go to the last value on a random walk, and away from it on noise about a level", () => {
    // The line is fed the last value, too.
    expect(meanWeight(randomWalk)).toBeGreaterThan(0.5);
    expect(meanWeight(noise)).toBeLessThan(0.05);
  });

  test("go to the profiles where only the time of the hour tells what comes", () => {
    const random = seededRandom(4);
    // A job of ten minutes at the half hour.
    const stream: Stream = (t) =>
      40 + (t % 3600 >= 1800 && t % 3600 < 2400 ? 20 : 0) + 0.3 * gaussian(random);
    const { weights } = forecastAfter(stream, 8_000);
    expect(weights.periodic, `seed ${random.seed}`).toBeGreaterThan(0.9);
  });

  test("the mix is as good as the best expert, to a tenth", () => {
    for (const [name, make, best] of [
      // The mean absolute value of a normal error is sqrt(2 / π) deviations.
      ["noise about a level", (seed: number) => noise(seed, 2), Math.sqrt(2 / Math.PI) * 2],
      ["a walk", (seed: number) => randomWalk(seed, 0.3), Math.sqrt(2 / Math.PI) * 0.3 * Math.sqrt(10)],
    ] as const) {
      const usual = [1, 2, 3, 4].map((seed) => meanError(make(seed)));
      expect(usual.reduce((sum, one) => sum + one, 0) / 4, name).toBeLessThan(1.1 * best);
    }
  });
});

/** What the last value and the line weigh together, a mean over five seeds and 2,000 points after as many. */
function meanWeight(make: (seed: number) => Stream): number {
  let sum = 0;
  for (let seed = 1; seed <= 5; seed++) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, make(seed), { points: 4_000 }, (i) => {
      const { last, line } = adaptiveForecastOf(series).weights;
      if (i >= 2_000) sum += last + line;
    });
  }
  return sum / 10_000;
}

/** The mean absolute error of the forecasts over 6,000 points, after 2,000. */
function meanError(stream: Stream): number {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const waiting: number[] = [];
  let sum = 0;
  feedStream(series, stream, { points: 8_000 }, (i, value) => {
    const forecast = waiting.length === 10 ? (waiting.shift() as number) : value;
    if (i >= 2_000) sum += Math.abs(value - forecast);
    waiting.push(adaptiveForecastOf(series).value);
  });
  return sum / 6_000;
}
