/** A spike: growth within 30 seconds against what is usual at most; at each pace of sampling. */
import { describe, expect, test } from "bun:test";
import {
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

/** The host's line: more than twice what is usual at most. */
const spike = 2;

test.each([5, 30, 60])("noise every %i s is no spike", (stepSeconds) => {
  for (const [name, make] of [
    ["noise", (seed: number) => noise(seed)],
    ["slow noise", (seed: number) => autoregressive(seed, 0.9, 3)],
    ["a walk", (seed: number) => randomWalk(seed, 1)],
  ] as const) {
    let spikes = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      feedStream(series, make(seed), { points: 5_000, stepSeconds }, () => {
        if (series.news().riseRatio > spike) spikes++;
      });
    }
    // Twice the 97.5th percentile of a normal rise or fall is 4.5 deviations: 3 of a million, and the estimate varies.
    expect(spikes, name).toBeLessThanOrEqual(5);
  }
});

describe.each([5, 30, 60])("every %i s", (stepSeconds) => {
  const points = 400;
  const quiet = (seed: number) => noise(seed, 1);

  /** The largest rise within 30 s so far: between neighbours at 30 s and more, where a longer step counts in part. */
  function largestRise(stream: Stream): number {
    const values = Array.from({ length: points }, (_, i) => stream(i * stepSeconds));
    const back = Math.max(1, Math.floor(30 / stepSeconds));
    return Math.max(...values.map((value, i) => (i < back ? 0 : value - (values[i - back] as number))));
  }

  test("a jump of three times the largest rise is one, at once", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      const jump = 3 * largestRise(quiet(seed));
      feedStream(series, quiet(seed), { points, stepSeconds });
      const t = startSeconds + points * stepSeconds;
      series.push(t, 50 + jump, 50);
      expect(series.news().riseRatio, `seed ${seed}`).toBeGreaterThan(spike);
      series.push(t + 1, 50 + jump, 50);
      expect(series.news().riseRatio).toBe(0);
    }
  });

  test("a fall as deep is none, and neither is a rise by less than one unit", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, noise(1, 0.01), { points, stepSeconds });
    const t = startSeconds + points * stepSeconds;
    series.push(t, 20, 20);
    expect(series.news().riseRatio).toBeLessThanOrEqual(0);
    series.push(t + 3600, 20, 20);
    series.push(t + 3600 + stepSeconds, 20.9, 20);
    expect(series.news().riseRatio).toBe(0);
  });
});

test("what is usual at most is the 97.5th percentile of the last 200, rises and falls, and a rise its share of 30 s", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const random = seededRandom(9);
  const values = Array.from({ length: 301 }, () => 50 + 3 * gaussian(random));
  values.push((values[300] as number) + 40);
  for (const [i, value] of values.entries()) series.push(startSeconds + i * 60, value, value);
  // A step of 60 s counts half.
  const sizes = values
    .slice(0, 301)
    .flatMap((value, i) => (i === 0 ? [] : [Math.abs(value - (values[i - 1] as number)) / 2]));
  const last = sizes.slice(-200).sort((a, b) => a - b);
  const rank = 0.975 * 201;
  const lower = last[Math.floor(rank) - 1] as number;
  const usual = lower + (rank % 1) * ((last[Math.floor(rank)] as number) - lower);
  expect(series.news().riseRatio).toBeCloseTo(20 / usual, 6);
});

test("within 30 s, not over the last ten points: every 5 s a climb counts the six steps of its time", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  // Up by 1 every 5 s for long: 6 within any 30 s; then once up by 9, and 5 before it.
  for (let i = 0; i < 300; i++) series.push(startSeconds + i * 5, 50 + i, 50);
  series.push(startSeconds + 1500, 349 + 9, 50);
  expect(series.news().riseRatio).toBeCloseTo(14 / 6, 6);
});

test("the first twenty rises are never a spike, nor is what grew through a gap of an hour", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  for (let i = 0; i < 21; i++) {
    series.push(startSeconds + i * 30, i === 20 ? 90 : 50 + (i % 2), 50);
    expect(series.news().riseRatio).toBe(0);
  }
  for (let i = 0; i < 100; i++) series.push(startSeconds + 700 + i * 30, 30 + (i % 2), 30);
  series.push(startSeconds + 700 + 99 * 30 + 3600, 60, 60);
  expect(series.news().riseRatio).toBeLessThan(1);
});
