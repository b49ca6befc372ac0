/** The interval: how many outcomes it holds, on series that a Gaussian interval would not hold on. */

import { describe, expect, test } from "bun:test";
import { LARGEST_ERROR } from "../../assembly/adaptive/layout.ts";
import type { AdaptiveForecast } from "../../src/forecast/adaptive.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  expectOrder,
  type Feed,
  feedStream,
  gaussian,
  noise,
  randomWalk,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { seededRandom } from "./seeded-random.ts";

/** Noise that goes up by more than down, as memory does: exponential, its mean at 50. */
function skewed(seed: number): Stream {
  const random = seededRandom(seed);
  return () => 49 - Math.log(1 - random.unit());
}

/** Rests at 50; at the full hour it often jumps up for a while, at the half hour down. */
function hourly(seed: number): Stream {
  const random = seededRandom(seed);
  return (t) => {
    const jump = t % 1800 < 600 && random.unit() < 0.3 ? 10 : 0;
    return 50 + 0.3 * gaussian(random) + (t % 3600 < 1800 ? jump : -jump);
  };
}

interface Held {
  both: number;
  above: number;
  below: number;
  width: number;
  n: number;
}

/** Independent noise whose variance, or ten times of it, belongs to every other hour. */
const uneven =
  (times: number) =>
  (seed: number): Stream => {
    const random = seededRandom(seed);
    return (t) => 50 + gaussian(random) * (t % 7200 < 3600 ? 1 : Math.sqrt(times));
  };

/** Moves from 40 to 65 in the middle, and from then on errs five times as much. */
function regimes(seed: number): Stream {
  const random = seededRandom(seed);
  let state = 0;
  return (t) => {
    const second = t > 150_000;
    state = 0.9 * state + gaussian(random) * (second ? 1.5 : 0.3);
    return (second ? 65 : 40) + state;
  };
}

/** Judges every forecast after the first 200 by the value a horizon later. */
function held(stream: Stream, feed: Feed, what: string): Held {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const waiting: AdaptiveForecast[] = [];
  const sum = { both: 0, above: 0, below: 0, width: 0, n: 0 };
  feedStream(series, stream, feed, (i, value) => {
    const due = waiting.length * (feed.stepSeconds ?? 30) === 300 ? waiting.shift() : undefined;
    if (due !== undefined && i >= 200) {
      sum.n++;
      sum.both += value >= due.lower && value <= due.upper ? 1 : 0;
      sum.above += value <= due.atMost ? 1 : 0;
      sum.below += value >= due.atLeast ? 1 : 0;
      sum.width += due.upper - due.lower;
    }
    const forecast = adaptiveForecastOf(series);
    expectOrder(forecast, `${what}, point ${i}`);
    waiting.push(forecast);
  });
  const { both, above, below, width, n } = sum;
  return { both: both / n, above: above / n, below: below / n, width: width / n, n };
}

describe("the interval holds 93 to 97 % of the outcomes, each side alone 93.5 to 96.5 %", () => {
  test.each<[string, (seed: number) => Stream, number]>([
    ["independent noise", (seed) => noise(seed), 30],
    ["noise alike from point to point", (seed) => autoregressive(seed, 0.7), 60],
    ["slow noise every 5 s", (seed) => autoregressive(seed, 0.95, 2), 5],
    ["noise whose variance doubles every other hour", uneven(2), 30],
    ["noise whose variance is tenfold every other hour", uneven(10), 30],
    ["a random walk", (seed) => randomWalk(seed), 30],
    ["two regimes", regimes, 30],
    ["noise that goes up by more than down", skewed, 30],
  ])("on %s", (name, make, stepSeconds) => {
    for (let seed = 1; seed <= 3; seed++) {
      const what = `${name}, seed ${seed}`;
      const { both, above, below, n } = held(make(seed), { points: 10_000, stepSeconds }, what);
      expect(n).toBe(9_800);
      expect(Math.abs(both - 0.95), `${what}: both ${both}`).toBeLessThan(0.02);
      expect(Math.abs(above - 0.95), `${what}: above ${above}`).toBeLessThan(0.015);
      expect(Math.abs(below - 0.95), `${what}: below ${below}`).toBeLessThan(0.015);
    }
  });

  test("and is no wider than it must be: within a tenth of what is known to be right", () => {
    // 95 % of independent noise lie within 1.96 deviations; of the walk, a horizon of ten steps later.
    const ideal = 2 * 1.959964;
    const wide = (stream: Stream) => held(stream, { points: 10_000 }, "width").width;
    expect(wide(noise(1, 2)) / (2 * ideal)).toBeLessThan(1.1);
    expect(wide(randomWalk(1, 0.3)) / (0.3 * Math.sqrt(10) * ideal)).toBeLessThan(1.1);
  });

  test("and tells the sides apart: it reaches further to where the outcomes of the hour went", () => {
    for (let seed = 1; seed <= 3; seed++) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      const reach = { up: { above: 0, below: 0 }, down: { above: 0, below: 0 } };
      feedStream(series, hourly(seed), { points: 10_000 }, (i) => {
        const { lower, value, upper, targetSeconds } = adaptiveForecastOf(series);
        const inHour = (targetSeconds - startSeconds) % 3600;
        if (i < 5_000 || inHour % 1800 >= 600) return;
        const sides = reach[inHour < 1800 ? "up" : "down"];
        sides.above += upper - value;
        sides.below += value - lower;
      });
      expect(reach.up.above / reach.up.below, `seed ${seed}`).toBeGreaterThan(1.04);
      expect(reach.down.above / reach.down.below, `seed ${seed}`).toBeLessThan(0.96);
    }
  });

  test.each([
    ["from the beginning", 100, 400],
    ["and for long", 3_000, 6_000],
  ])("a bound on one side is nearer than one of two, %s", (_, from, to) => {
    let [one, two] = [0, 0];
    for (let seed = 1; seed <= 6; seed++) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      feedStream(series, noise(seed), { points: to }, (i) => {
        if (i < from) return;
        const { lower, value, upper, atLeast, atMost } = adaptiveForecastOf(series);
        // In the beginning three in ten reach as far as the largest error lately, which says nothing of the quantiles.
        const caution = 1 + 10 / (i - 10);
        const most = caution * (series.save()[LARGEST_ERROR] as number) - 1e-9;
        if (Math.max(upper - value, value - lower) > most) return;
        one += atMost - atLeast;
        two += upper - lower;
      });
    }
    // 1.645 deviations to 1.960: 0.84.
    expect(Math.abs(one / two - 1.644854 / 1.959964)).toBeLessThan(0.04);
  });

  test("and knows the hour of the noise: narrow where it is small, wide where it is large", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    const width = { quiet: 0, loud: 0 };
    feedStream(series, uneven(10)(1), { points: 10_000 }, (i) => {
      const { lower, upper, targetSeconds } = adaptiveForecastOf(series);
      if (i >= 5_000) width[(targetSeconds - startSeconds) % 7200 < 3600 ? "quiet" : "loud"] += upper - lower;
    });
    // Their deviations are as 1 to 3.16.
    expect(width.loud / width.quiet).toBeGreaterThan(2);
  });
});
