import { describe, expect, test } from "bun:test";
import { bootstrapped, regretOf, type Stretch } from "../../src/conductor/regret.ts";
import { seededUnit } from "../../src/health/stagger.ts";

const stretch = (startMs: number, weightedAvailability: number): Stretch => ({
  startMs,
  weightedAvailability,
  oomMinutes: 1,
  criticalMinutes: 0.5,
  sheds: 2,
});

describe("regret", () => {
  test("compares the stretches that both have, and adds them up", () => {
    const acting = [1, 2, 3, 4, 5].map((at) => stretch(at, 0.9));
    const shadow = [2, 3, 4, 5, 6].map((at) => stretch(at, 0.95));
    expect(regretOf(acting, shadow)).toEqual({
      stretches: 4,
      acting: { weightedAvailability: 0.9, oomMinutes: 4, criticalMinutes: 2, sheds: 8 },
      shadow: { weightedAvailability: 0.95, oomMinutes: 4, criticalMinutes: 2, sheds: 8 },
      gain: { mean: expect.closeTo(0.05), low: expect.closeTo(0.05), high: expect.closeTo(0.05) },
    });
  });

  test("is not known of fewer than four stretches", () => {
    const few = [1, 2, 3].map((at) => stretch(at, 0.9));
    expect([regretOf(few, few), regretOf([], [])]).toEqual([null, null]);
  });

  test("has an interval that holds the true mean 95 times in 100, as far as 28 values tell", () => {
    const seed = 20_261_130;
    console.log(`seed ${seed}`);
    const unit = seededUnit(seed);
    const runs = 400;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      // Uniform in 0..1: the mean is 0.5.
      const { low, high } = bootstrapped(Array.from({ length: 28 }, unit));
      if (low <= 0.5 && high >= 0.5) held++;
    }
    // 95 % less what so few values cost, give or take three standard errors of 400 runs.
    expect(held / runs).toBeGreaterThan(0.9);
    expect(held / runs).toBeLessThan(0.985);
    expect(bootstrapped([1, 2, 3, 4])).toEqual(bootstrapped([1, 2, 3, 4]));
  });
});
