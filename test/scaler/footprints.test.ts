import { describe, expect, test } from "bun:test";
import { LearnedFootprints, mostPeaks } from "../../src/scaler/footprints.ts";

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

describe("a plugin's peak, which its start reserves", () => {
  test("is that of its lives and a tenth more, whatever it usually holds", () => {
    const learned = new LearnedFootprints();
    expect(learned.peakBytes("voice")).toBeNull();
    for (const life of [
      [10, 100, 20],
      [10, 80, 20],
    ]) {
      learned.started("voice");
      for (const bytes of life) learned.learn("voice", bytes);
    }
    expect(learned.peakBytes("voice")).toBe(110);
    expect(learned.usualBytes("voice")).toBe(20);
  });

  test("forgets one life in twenty that was out of the ordinary", () => {
    const learned = new LearnedFootprints();
    for (let life = 1; life <= 20; life++) {
      learned.started("voice");
      learned.learn("voice", life === 7 ? 5_000 : 100);
    }
    expect(learned.peakBytes("voice")).toBe(110);
  });

  test("is remembered over a restart, the latest of what was recorded and then of this run", () => {
    const learned = new LearnedFootprints();
    learned.remember("voice", [0, 100, 200]);
    expect(learned.peakBytes("voice")).toBe(220);
    learned.started("voice");
    learned.learn("voice", 20);
    expect(learned.peakBytes("voice")).toBe(220);
    // So many lives later nothing of before is left.
    for (let life = 1; life <= mostPeaks; life++) {
      learned.started("voice");
      learned.learn("voice", 20);
    }
    expect(learned.peakBytes("voice")).toBe(22);
    expect(learned.usualBytes("voice")).toBe(20);
  });
});

describe("what a plugin takes to start", () => {
  test("is what it holds until three seconds after it was ready, however slowly it started", () => {
    const learned = new LearnedFootprints();
    learned.started("voice");
    learned.learn("voice", 8, 1_000);
    learned.learn("voice", 60, 9_000);
    learned.ready("voice", 10_000);
    learned.learn("voice", 150, 13_000);
    learned.learn("voice", 900, 13_001);
    expect(learned.startBytes("voice")).toBe(150);
  });

  test("is the median of its starts, and ready again without a start begins none", () => {
    const learned = new LearnedFootprints();
    for (const [life, bytes] of [30, 10, 50].entries()) {
      const atMs = life * 100_000;
      learned.started("voice");
      learned.ready("voice", atMs);
      learned.learn("voice", bytes, atMs + 100);
      learned.ready("voice", atMs + 60_000);
      learned.learn("voice", 999, atMs + 60_100);
    }
    expect(learned.startBytes("voice")).toBe(30);
  });

  test("is not known of one that ran before it was watched", () => {
    const learned = new LearnedFootprints();
    learned.ready("voice", 0);
    learned.learn("voice", 10, 100);
    expect(learned.startBytes("voice")).toBeNull();
  });
});
