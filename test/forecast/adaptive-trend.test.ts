/** Where the newest points lead: the line against rational arithmetic, what is called a trend, and when it arrives. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { AdaptiveSeries, MemoryTrend } from "../../src/forecast/adaptive.ts";
import { studentT975 } from "../../src/forecast/student-t.ts";
import {
  adaptiveOptions,
  autoregressive,
  feedStream,
  gaussian,
  noise,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";
import { type ExactLine, exactLine } from "./exact-line.ts";
import { seededRandom } from "./seeded-random.ts";

/** One memory for all trials: thousands of instances would weigh on the whole run. */
const series = wasmAdaptive.createSeries(adaptiveOptions);

function trendAfter(stream: Stream, points = 50, stepSeconds = 60): MemoryTrend {
  series.reset();
  feedStream(series, stream, { points, stepSeconds });
  return series.trend();
}

/** The 95 % margin of a slope as documented, from the residuals of the exact line. */
function marginOf(times: number[], values: number[], line: ExactLine): number {
  const n = times.length;
  const { slopePerSecond, sumSquaredResidual } = line;
  const mean = (some: number[]): number => some.reduce((sum, one) => sum + one, 0) / n;
  const [meanTime, meanValue] = [mean(times), mean(values)];
  const residuals = times.map((t, i) => (values[i] as number) - meanValue - slopePerSecond * (t - meanTime));
  const found =
    residuals.reduce((sum, one, i) => sum + one * (residuals[i - 1] ?? 0), 0) / sumSquaredResidual;
  const whole = (n * found + 2) / (n - 4);
  const alike = Math.min(0.95, Math.max(0, whole + 0.75 * Math.sqrt(Math.max(0, 1 - whole ** 2) / n)));
  const inflation = (1 + alike) / (1 - alike);
  const squares = times.reduce((sum, t) => sum + (t - meanTime) ** 2, 0);
  // Between whole degrees of freedom the quantile is about linear in their inverse.
  const degrees = Math.max(3, n / inflation - 2);
  const [below, above] = [studentT975(Math.floor(degrees)), studentT975(Math.floor(degrees) + 1)];
  const share = (1 / Math.floor(degrees) - 1 / degrees) * Math.floor(degrees) * (Math.floor(degrees) + 1);
  return (below + share * (above - below)) * Math.sqrt((sumSquaredResidual / (n - 2) / squares) * inflation);
}

describe("the line", () => {
  test("has the slope of rational arithmetic, and the margin that its residuals give, on any 50 points", () => {
    const counts = fc.integer({ min: 10, max: 137 });
    fc.assert(
      fc.property(fc.integer({ min: 1 }), counts, fc.constantFrom(0, 0.5, 0.9), (seed, points, alike) => {
        const random = seededRandom(seed);
        const series = wasmAdaptive.createSeries({ ...adaptiveOptions, threshold: 1e9 });
        const all: [number, number][] = [];
        let [t, state] = [startSeconds, 0];
        for (let i = 0; i < points; i++) {
          t += 5 + Math.floor(64 * random.unit()) / 4;
          state = alike * state + gaussian(random);
          all.push([t, 50 + state + i * random.unit() * 0.02]);
          series.push(...(all.at(-1) as [number, number]), 50);
        }
        const last = all.slice(-50);
        const [times, values] = [last.map(([time]) => time), last.map(([, value]) => value)];
        const { slopePerSecond, slopeLower, slopeUpper, significant } = series.trend();
        const line = exactLine(times, values, 0);
        const margin = marginOf(times, values, line);
        const what = `seed ${seed}, ${points} points`;
        expectClose(slopePerSecond, line.slopePerSecond, 1e-9, what, 1e-3);
        expectClose(slopeUpper - slopePerSecond, margin, 0.02, `${what}: margin`);
        expectClose(
          slopePerSecond - slopeLower,
          slopeUpper - slopePerSecond,
          1e-9,
          `${what}: symmetry`,
          1e-3,
        );
        expect(significant).toBe(slopeLower > 0 || slopeUpper < 0);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  test("is none with fewer than ten points, nor where nothing moves", () => {
    const none = { slopePerSecond: 0, slopeLower: 0, slopeUpper: 0, significant: false, crossing: null };
    expect(trendAfter((t) => 50 + t, 9)).toEqual(none);
    expect(trendAfter((t) => 50 + t / 60, 10).significant).toBe(true);
    expect(trendAfter(() => 42.5)).toEqual(none);
  });
});

describe("the time to the threshold", () => {
  test.each<[string, Stream, number]>([
    // Point 49 is at 49 min.
    ["from 50 by 1 a minute: 30 min to 80", (t) => 1 + t / 60, 1800],
    ["from 20 by 0.1 a minute", (t) => 20 - 4.9 + t / 600, 36_000],
    ["from 79.9 by 1/3 a minute", (t) => 79.9 - 49 / 3 + t / 180, 18],
  ])("%s", (_, stream, seconds) => {
    const { crossing } = trendAfter(stream);
    for (const time of Object.values(crossing ?? { none: 0 })) expect(time).toBeCloseTo(seconds, 4);
  });

  test("is 0 when it is crossed already, none when falling, and counts from the newest value", () => {
    expect(trendAfter((t) => 60 + t / 60).crossing).toEqual({
      seconds: 0,
      earliestSeconds: 0,
      latestSeconds: 0,
    });
    expect(trendAfter((t) => 70 - t / 60)).toMatchObject({ significant: true, crossing: null });
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, (t) => 1 + t / 60, { points: 50, stepSeconds: 60 });
    series.shift(10);
    expect(series.trend().crossing?.seconds).toBeCloseTo(1200, 4);
    // Between two points that are taken: 6 lower, 4 s later.
    series.push(startSeconds + 49 * 60 + 4, 54, 54);
    expect(series.trend().crossing?.seconds).toBeCloseTo(26 * 60, 4);
  });

  test("is found for a clear climb that is no line", () => {
    for (const stream of [
      (t: number) => 20 + 40 * (t / 3000) ** 2,
      (t: number) => 20 + 40 * Math.sqrt(t / 3000),
      (t: number) => 20 + t / 75 + 2 * Math.sin(t / 240),
      (t: number) => Math.floor(20 + t / 75),
    ]) {
      const { crossing } = trendAfter(stream);
      expect(crossing?.latestSeconds).toBeGreaterThan(crossing?.seconds as number);
      expect(crossing?.earliestSeconds).toBeLessThan(crossing?.seconds as number);
    }
  });
});

/** Asks a series after each 50 points, which then share none, `trials` times. */
function ask(make: (seed: number) => Stream, trials: number, of: (series: AdaptiveSeries) => void): void {
  for (let seed = 1; seed <= trials / 50; seed++) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, make(seed), { points: 2_500 }, (i) => {
      if (i % 50 === 49) of(series);
    });
  }
}

describe("over many trials", () => {
  test.each([
    ["independent noise", 0, 0.975],
    ["noise of which 0.7 stays", 0.7, 0.97],
    ["noise of which 0.9 stays", 0.9, 0.965],
  ])("%s has no time to a threshold", (_, alike, least) => {
    let [none, trials] = [0, 0];
    ask(
      (seed) => (alike === 0 ? noise(seed) : autoregressive(seed, alike)),
      3_000,
      (series) => {
        trials++;
        if (series.trend().crossing === null) none++;
      },
    );
    expect(trials).toBe(3_000);
    expect(none / trials).toBeGreaterThan(least);
  });

  test.each([
    // Share that stays, slope a minute, and the distance from the end of the window to the threshold.
    [0, 0.5, 30],
    [0.7, 0.5, 30],
    [0.7, 1, 5],
    [0.7, 0.2, 40],
  ])(
    "the interval of a line with noise of which %d stays, %d a minute, holds the true time",
    (alike, slope, away) => {
      let [inside, found, trials] = [0, 0, 400];
      for (let seed = 1; seed <= trials; seed++) {
        const around = autoregressive(seed * 37, alike);
        const { crossing } = trendAfter((t) => around(t) + 30 - away + ((t - 49 * 30) / 60) * slope, 50, 30);
        if (crossing === null) continue;
        found++;
        const truth = (away / slope) * 60;
        inside += truth >= crossing.earliestSeconds && truth <= crossing.latestSeconds ? 1 : 0;
      }
      expect(found / trials).toBeGreaterThan(0.7);
      expect(inside / found).toBeGreaterThan(0.93);
    },
  );
});
