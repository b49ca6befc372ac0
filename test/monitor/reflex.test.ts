/** The reflex: how its pace follows the headroom, and that nothing stops it. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import type { MemoryReading } from "../../src/monitor/budget.ts";
import { mostBytesPerSecond, Reflex, type ReflexLimits, reflexDelayMs } from "../../src/monitor/reflex.ts";
import { GiB } from "./fixture-host.ts";
import { notedGaps } from "./noted.ts";

const limits: ReflexLimits = { slowestMs: 1_000, fastestMs: 50, lineRatio: 0.8 };

describe("the delay", () => {
  // used, growth a second, most a second → headroom / max(most, 2 × growth), in seconds
  test.each([
    [0, 0, 1 / 3, 1_000],
    [0.4, 0, 1 / 3, 1_000],
    [0.5, 0, 1 / 3, 900],
    [0.7, 0, 1 / 3, 300],
    [0.79, 0, 1 / 3, 50],
    [0.8, 0, 1 / 3, 50],
    [0.97, 0, 1 / 3, 50],
    [1.4, 0, 1 / 3, 50],
    [0.5, 0.1, 1 / 3, 900],
    [0.5, 0.5, 1 / 3, 300],
    [0.5, -0.5, 1 / 3, 900],
    [0.4, 0, 4, 100],
  ])("at %p used, growing %p, at most %p a second is %p ms", (used, growth, most, delayMs) => {
    expect(reflexDelayMs(used, growth, limits, most)).toBeCloseTo(delayMs, 6);
  });

  const ratio = fc.double({ min: 0, max: 2, noNaN: true });
  const rate = fc.double({ min: -5, max: 50, noNaN: true });
  const most = fc.double({ min: 0.001, max: 300, noNaN: true });
  const anyLimits = fc
    .record({
      slowestMs: fc.integer({ min: 50, max: 60_000 }),
      fastestMs: fc.integer({ min: 10, max: 1_000 }),
      lineRatio: fc.double({ min: 0.001, max: 1, noNaN: true }),
    })
    .filter(({ slowestMs, fastestMs }) => fastestMs <= slowestMs);

  test("is within its bounds, and no longer for less headroom, more growth or a faster machine", () => {
    fc.assert(
      fc.property(anyLimits, ratio, ratio, rate, rate, most, most, (within, u1, u2, g1, g2, m1, m2) => {
        const [less, more] = [Math.min(u1, u2), Math.max(u1, u2)];
        const calm = reflexDelayMs(less, Math.min(g1, g2), within, Math.min(m1, m2));
        expect(calm).toBeGreaterThanOrEqual(within.fastestMs);
        expect(calm).toBeLessThanOrEqual(within.slowestMs);
        expect(reflexDelayMs(more, Math.min(g1, g2), within, Math.min(m1, m2))).toBeLessThanOrEqual(calm);
        expect(reflexDelayMs(less, Math.max(g1, g2), within, Math.min(m1, m2))).toBeLessThanOrEqual(calm);
        expect(reflexDelayMs(less, Math.min(g1, g2), within, Math.max(m1, m2))).toBeLessThanOrEqual(calm);
      }),
    );
  });

  test("is due before the line can have been reached, unless at its fastest", () => {
    fc.assert(
      fc.property(anyLimits, ratio, rate, most, (within, used, growth, fill) => {
        const delayMs = reflexDelayMs(used, growth, within, fill);
        const reached = used + (Math.max(fill, growth) * delayMs) / 1_000;
        expect(delayMs === within.fastestMs || reached <= within.lineRatio + 1e-9).toBe(true);
      }),
    );
  });

  test("is the fastest for what is no number", () => {
    expect(reflexDelayMs(Number.NaN, 0, limits, 1 / 3)).toBe(50);
    expect(reflexDelayMs(0.1, Number.NaN, limits, 1 / 3)).toBe(50);
  });
});

/** With this budget memory fills by a third a second at most. */
const budgetBytes = 3 * mostBytesPerSecond;

const readingOf = (usedRatio: number): MemoryReading => ({
  usedBytes: usedRatio * budgetBytes,
  budgetBytes,
  usedRatio,
  source: "host",
  cgroup: null,
  swapUsedBytes: 0,
  swapTotalBytes: 0,
});

function running(read: (nowMs: number) => MemoryReading | null, onReading?: (at: number) => void) {
  const clock = new VirtualClock();
  const noted = notedGaps();
  const times: number[] = [];
  const late: number[] = [];
  const reflex = new Reflex({
    clock,
    gaps: noted.gaps,
    limits,
    read: () => read(clock.nowMs()),
    onReading: (_, atMs) => {
      times.push(atMs);
      onReading?.(atMs);
    },
    onLate: (lateMs) => late.push(lateMs),
  });
  return { ...noted, clock, times, late, reflex };
}

test("what keeps it from its turn is told, and not counted twice", () => {
  let nowMs = 0;
  let beat = () => {};
  const late: number[] = [];
  const reflex = new Reflex({
    clock: {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      after: (_, run) => {
        beat = run;
        return { cancel: () => {} };
      },
    },
    gaps: notedGaps().gaps,
    limits,
    read: () => readingOf(0.1),
    onReading: () => {},
    onLate: (lateMs) => late.push(lateMs),
  });
  reflex.start();
  for (const atMs of [1_000, 11_400, 12_400]) {
    nowMs = atMs;
    beat();
  }
  expect(late).toEqual([0, 9_400, 0]);
  reflex.stop();
  // What lay between is nobody's fault.
  nowMs = 60_000;
  reflex.start();
  expect(late).toHaveLength(3);
});

describe("the loop", () => {
  test("reads at once, then once a second while all is calm", async () => {
    const { clock, reflex, times, late } = running(() => readingOf(0.1));
    reflex.start();
    expect(times).toEqual([0]);
    await clock.advance(3_000);
    expect(times).toEqual([0, 1_000, 2_000, 3_000]);
    expect(late).toEqual([0, 0, 0]);
    expect(reflex.delayMs).toBe(1_000);
    reflex.stop();
    await clock.advance(5_000);
    expect(times).toHaveLength(4);
  });

  test("reads twenty times a second over the line", async () => {
    const { clock, reflex, times } = running(() => readingOf(0.81));
    reflex.start();
    await clock.advance(1_000);
    expect(times).toHaveLength(21);
    reflex.stop();
  });

  test("sees a steady leak cross the line within its fastest interval", async () => {
    // A fifth of the budget a second, from calm: far more than it would see at one reading a second.
    const { clock, reflex, times } = running((nowMs) => readingOf(0.2 + nowMs / 5_000));
    reflex.start();
    await clock.advance(4_000);
    const crossedMs = 3_000;
    const seenMs = times.find((atMs) => atMs >= crossedMs) ?? Number.NaN;
    expect(seenMs - crossedMs).toBeLessThanOrEqual(50);
    reflex.stop();
  });

  test("in a small budget is never slow: a GiB fills in a quarter of a second", async () => {
    const { clock, reflex, times } = running(() => ({ ...readingOf(0.4), budgetBytes: GiB }));
    reflex.start();
    await clock.advance(1_000);
    expect(times).toHaveLength(11);
    reflex.stop();
  });

  test("retries a failed reading at its fastest, counts each, and logs it once", async () => {
    let broken = true;
    const { clock, reflex, times, gaps, logged } = running(() => {
      if (broken) throw new Error("unreadable");
      return readingOf(0.1);
    });
    reflex.start();
    await clock.advance(500);
    expect(times).toEqual([]);
    expect(gaps.counts()).toEqual({ memory: 11 });
    broken = false;
    await clock.advance(50);
    expect(times).toEqual([550]);
    expect(logged()).toEqual(["monitor.gap memory", "monitor.recovered memory"]);
    expect(reflex.delayMs).toBe(1_000);
    reflex.stop();
  });

  test("goes on when a receiver throws", async () => {
    const { clock, reflex, times, logged } = running(
      () => readingOf(0.1),
      () => {
        throw new Error("receiver");
      },
    );
    reflex.start();
    await clock.advance(2_000);
    expect(times).toHaveLength(3);
    expect(logged()).toEqual(Array(3).fill("monitor.receiver_failed reflex"));
    reflex.stop();
  });

  test("stopped by its own receiver stays stopped, started twice runs once, and can be started again", async () => {
    const stopper = running(
      () => readingOf(0.1),
      () => stopper.reflex.stop(),
    );
    stopper.reflex.start();
    await stopper.clock.advance(5_000);
    expect(stopper.times).toEqual([0]);
    stopper.reflex.start();
    expect(stopper.times).toEqual([0, 5_000]);

    const twice = running(() => readingOf(0.1));
    twice.reflex.start();
    twice.reflex.start();
    await twice.clock.advance(1_000);
    expect(twice.times).toEqual([0, 1_000]);
    twice.reflex.stop();
  });

  test("a reading taken beside the beat changes nothing of it", async () => {
    const { clock, reflex, times } = running(() => readingOf(0.1));
    expect(reflex.readNow()?.usedRatio).toBe(0.1);
    reflex.start();
    await clock.advance(500);
    reflex.readNow();
    await clock.advance(500);
    expect(times).toEqual([0, 1_000]);
    reflex.stop();
  });
});
