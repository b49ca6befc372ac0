/** The bootstrap interval: against known values, and by how often it holds the mean that it is asked for. */

import { describe, expect, test } from "bun:test";
import { bootstrapMean, normalCdf, normalQuantile } from "../../src/replay/bootstrap.ts";
import { compared, type Trial } from "../../src/replay/comparison.ts";
import { unitOf } from "../../src/replay/seeded.ts";
import type { Metrics } from "../../src/replay/tally.ts";

test.each([
  [0, 0.5],
  [1, 0.8413447],
  [-1, 0.1586553],
  [1.959964, 0.975],
  [-3, 0.0013499],
])("the normal distribution at %d is %d, and back", (x, share) => {
  expect(normalCdf(x)).toBeCloseTo(share, 6);
  expect(normalQuantile(share)).toBeCloseTo(x, 3);
});

describe("the interval of a mean", () => {
  test("of values that are all the same is that value", () => {
    expect(bootstrapMean([3, 3, 3], 1)).toEqual({ mean: 3, lower: 3, upper: 3 });
  });

  test("of none is refused", () => {
    expect(() => bootstrapMean([], 1)).toThrow("an interval needs values");
  });

  test("is the same for the same seed, holds its mean, and is about 1.96 standard errors to each side", () => {
    const values = Array.from({ length: 400 }, (_, i) => unitOf(5, i));
    const { mean, lower, upper } = bootstrapMean(values, 9);
    expect(bootstrapMean(values, 9)).toEqual({ mean, lower, upper });
    // A uniform number deviates by 1/sqrt(12).
    const half = 1.96 / Math.sqrt(12 * 400);
    expect((mean - lower) / half).toBeCloseTo(1, 0);
    expect((upper - mean) / half).toBeCloseTo(1, 0);
    expect((upper - lower) / (2 * half)).toBeGreaterThan(0.9);
    expect((upper - lower) / (2 * half)).toBeLessThan(1.1);
  });

  test("holds the true mean about as often as it says, also of skewed values", () => {
    const sets = 200;
    let inside = 0;
    for (let set = 0; set < sets; set++) {
      // Exponential with mean 1.
      const values = Array.from({ length: 40 }, (_, i) => -Math.log(1 - unitOf(set, i, 11)));
      const { lower, upper } = bootstrapMean(values, set);
      if (lower <= 1 && upper >= 1) inside++;
    }
    // 95 % of 200 are 190, with a deviation of 3; at 40 skewed values a bootstrap is known to hold a little less.
    expect(inside).toBeGreaterThan(176);
    expect(inside).toBeLessThanOrEqual(199);
  });
});

describe("a comparison", () => {
  const metrics = (weightedAvailability: number, oomKills = 0, days = 1): Metrics => ({
    weightedAvailability,
    oomKills,
    oomMinutes: oomKills,
    criticalMinutes: 0,
    sheds: 4,
    restores: 4,
    flaps: 0,
    flapsPerDay: 0,
    falseAlarms: 0,
    medianLeadSeconds: null,
    days,
    availability: {},
  });
  const trials = (of: (i: number) => readonly Metrics[]): Trial[] =>
    Array.from({ length: 8 }, (_, i) => ({ label: String(i), metrics: of(i) }));

  test("goes by availability first, however few kills the other has", () => {
    const better = trials((i) => [metrics(0.9 + i / 1_000, 0), metrics(0.95 + i / 900, 3)]);
    expect(compared(better, 0, 1, 1)).toMatchObject({ winner: "B", because: "by weighted availability" });
    expect(compared(better, 1, 0, 1).winner).toBe("A");
  });

  test("goes by kills of the kernel where availability is alike", () => {
    const alike = trials((i) => [metrics(0.9, 1 + (i % 2)), metrics(0.9, 4)]);
    expect(compared(alike, 0, 1, 1)).toMatchObject({ winner: "A" });
  });

  test("cannot tell where differences go both ways", () => {
    const both = trials((i) => [metrics(0.9), metrics(i % 2 === 0 ? 0.91 : 0.89)]);
    expect(compared(both, 0, 1, 1).winner).toBe("cannot tell");
  });

  test("counts by the day", () => {
    const long = trials(() => [metrics(0.9, 10, 10), metrics(0.9, 2, 1)]);
    const kills = compared(long, 0, 1, 1).metrics.find(({ metric }) => metric === "oomKills");
    expect(kills).toMatchObject({ a: 1, b: 2, winner: "A" });
  });
});
