import { describe, expect, test } from "bun:test";
import { LearnedFootprints } from "../../src/scaler/footprints.ts";

describe("a plugin's usual footprint", () => {
  test("is not known before it was measured", () => {
    expect(new LearnedFootprints().usualBytes("voice")).toBeNull();
  });

  test("is the median of a few", () => {
    const learned = new LearnedFootprints();
    for (const bytes of [10, 1_000, 30]) learned.learn("voice", bytes);
    expect(learned.usualBytes("voice")).toBe(30);
    learned.learn("voice", 20);
    expect(learned.usualBytes("voice")).toBe(25);
  });

  test("covers its whole life, so that a slow leak is not taken for its size at the end", () => {
    const learned = new LearnedFootprints();
    const seconds = 7_200;
    for (let second = 0; second <= seconds; second++) learned.learn("leak", 60 + (540 * second) / seconds);
    // From 60 to 600 at an even pace: the middle is 330.
    expect(learned.usualBytes("leak")).toBeGreaterThan(320);
    expect(learned.usualBytes("leak")).toBeLessThan(340);
  });
});
