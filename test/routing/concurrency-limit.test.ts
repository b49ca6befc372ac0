/** Requests at once: what the limit makes of how long answers take. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededUnit } from "../../src/health/stagger.ts";
import { AdaptiveLimit, FixedLimit } from "../../src/routing/concurrency-limit.ts";
import { serveLoad } from "./kneed-plugin.ts";

const overload = { most: 64, queue: 32, load: 10, seconds: 40, timeoutMs: 2_000 };
const adaptive = (most: number, nowMs: number) => new AdaptiveLimit(most, nowMs);
const fixedAt = (limit: number) => () => new FixedLimit(limit);

/** With room for few, one request more or less is a large share. */
describe.each([
  [1, 0.85],
  [4, 0.85],
  [8, 0.9],
  [16, 0.9],
])("a plugin whose knee is at %d, asked ten times what it can do", (knee, share) => {
  const shape = { knee, serviceMs: 50, strain: 0.25 };

  test("the adaptive limit settles near the knee, and answers nearly as many in time as the best fixed one", async () => {
    const served = await serveLoad(shape, adaptive, overload);
    const best = await serveLoad(shape, fixedAt(knee), overload);
    expect(best.goodputPerSecond).toBeGreaterThan((0.97 * knee * 1_000) / shape.serviceMs);
    expect(served.goodputPerSecond).toBeGreaterThan(share * best.goodputPerSecond);
    // The headroom of √limit lies on top of the knee; a look goes down to half.
    expect(served.meanLimit).toBeGreaterThan(knee);
    expect(served.meanLimit).toBeLessThan(knee + 1.5 * Math.sqrt(knee));
    expect(served.lowestLimit).toBeGreaterThanOrEqual(Math.floor(knee / 2));
  });

  test("the fixed one that is four times the knee or more answers far fewer", async () => {
    const served = await serveLoad(shape, fixedAt(64), overload);
    expect(served.goodputPerSecond).toBeLessThan((0.65 * knee * 1_000) / shape.serviceMs);
  });
});

test("a plugin that is asked less than it can do is not held back", async () => {
  const shape = { knee: 8, serviceMs: 50, strain: 0.25 };
  const served = await serveLoad(shape, adaptive, { ...overload, load: 0.5 });
  expect(served.goodputPerSecond).toBeCloseTo(80, 0);
  expect(served.lowestLimit).toBeGreaterThanOrEqual(16);
});

test("it grows over where it began while answers come as fast as ever", async () => {
  const served = await serveLoad({ knee: 40, serviceMs: 50, strain: 0 }, adaptive, { ...overload, load: 3 });
  expect(served.meanLimit).toBeGreaterThan(40);
  expect(served.goodputPerSecond).toBeGreaterThan(0.9 * 800);
});

test.each([
  [0.1, 14],
  [0.3, 14],
])(
  "a plugin that only waits, %d of it for long, keeps its places: its answers differ by nature",
  (share, least) => {
    const limit = new AdaptiveLimit(16, 0);
    const unit = seededUnit(5);
    const underWay: { startedAtMs: number; endsAtMs: number }[] = [];
    const limits: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 20_000; i++) {
      while (underWay.length < limit.limit) {
        const tookMs = (unit() < share ? 2_000 : 20) * (0.8 + 0.4 * unit());
        underWay.push({ startedAtMs: nowMs, endsAtMs: nowMs + tookMs });
      }
      underWay.sort((a, b) => b.endsAtMs - a.endsAtMs);
      const inFlight = underWay.length;
      const ended = underWay.pop();
      if (!ended) throw new Error("nothing is under way");
      nowMs = ended.endsAtMs;
      limit.answered(ended.startedAtMs, nowMs, inFlight);
      limits.push(limit.limit);
    }
    const mean = limits.reduce((sum, each) => sum + each, 0) / limits.length;
    expect(mean).toBeGreaterThan(least);
  },
);

test("differences of less than a millisecond are no sign of load", () => {
  const limit = new AdaptiveLimit(16, 0);
  let nowMs = 0;
  for (let i = 0; i < 5_000; i++) {
    nowMs += 1;
    limit.answered(nowMs - (i % 500 < 250 ? 0.05 : 0.4), nowMs, 16);
  }
  // At most a look at half of it.
  expect(limit.limit).toBeGreaterThanOrEqual(7);
});

test("whatever the answers take, it stays from 1 to the most there may be", () => {
  const answer = fc.record({
    afterMs: fc.double({ min: 0, max: 10_000, noNaN: true }),
    tookMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
    inFlight: fc.integer({ min: 1, max: 2_000 }),
    most: fc.option(fc.integer({ min: 1, max: 500 }), { freq: 20 }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.array(answer, { maxLength: 400, size: "max" }),
      (start, answers) => {
        const limit = new AdaptiveLimit(start, 0);
        let most = start;
        let nowMs = 0;
        for (const { afterMs, tookMs, inFlight, ...change } of answers) {
          nowMs += afterMs;
          if (change.most !== null) {
            most = change.most;
            limit.setMost(most);
          }
          limit.answered(nowMs - tookMs, nowMs, inFlight);
          expect(Number.isInteger(limit.limit)).toBe(true);
          expect(limit.limit).toBeGreaterThanOrEqual(1);
          expect(limit.limit).toBeLessThanOrEqual(most);
        }
      },
    ),
    { numRuns: 100 },
  );
});
