/** How long a breaker stays open when it opens again and again, and what each kind of failure counts for. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { PlatformCircuitBreaker } from "../../src/health/breaker.ts";
import type { Thresholds } from "../../src/health/trip-rule.ts";

const startMs = 1_700_000_000_000;
const growth = { resetMs: 30_000, mostResetMs: 200_000, stableMs: 60_000 };

const breaker = (thresholds: Thresholds = {}, clock = new VirtualClock(startMs), failures = 3) => ({
  clock,
  subject: new PlatformCircuitBreaker({ clock, failures, thresholds, ...growth }),
});

function open(subject: PlatformCircuitBreaker): void {
  for (let i = 0; i < 3; i++) subject.acquire()?.failure("timeout");
}

describe("opened again and again", () => {
  test("each failed probe doubles the time to the next, up to the most", async () => {
    const { clock, subject } = breaker();
    open(subject);
    const waits: (number | null)[] = [];
    for (let i = 0; i < 6; i++) {
      const waitMs = subject.retryAfterMs() ?? 0;
      waits.push(waitMs);
      await clock.advance(waitMs - 1);
      expect(subject.acquire()).toBeNull();
      await clock.advance(1);
      expect(subject.getState().state).toBe("half-open");
      subject.acquire()?.failure("crash");
    }
    expect(waits).toEqual([30_000, 60_000, 120_000, 200_000, 200_000, 200_000]);
    expect(subject.getState().openings).toBe(7);
  });

  test.each([
    [59_999, 60_000],
    [60_000, 30_000],
  ])("closed for %d ms, the next opening takes %d ms", async (closedMs, expectedMs) => {
    const { clock, subject } = breaker();
    open(subject);
    await clock.advance(30_000);
    subject.acquire()?.success();
    await clock.advance(closedMs);
    open(subject);
    expect(subject.retryAfterMs()).toBe(expectedMs);
  });

  test("what a person opens does not count, and what a person closes is forgotten", async () => {
    const { clock, subject } = breaker();
    open(subject);
    subject.trip("a test", "person");
    subject.trip("a test", "person");
    expect([subject.retryAfterMs(), subject.getState().openings]).toEqual([30_000, 1]);
    await clock.advance(30_000);
    subject.acquire()?.failure("timeout");
    expect(subject.retryAfterMs()).toBe(60_000);
    subject.close("mended", "person");
    open(subject);
    expect(subject.retryAfterMs()).toBe(30_000);
  });

  test("a reset time over the most stays as it is", () => {
    const clock = new VirtualClock(startMs);
    const subject = new PlatformCircuitBreaker({ clock, failures: 1, resetMs: 90_000, mostResetMs: 1_000 });
    subject.recordFailure("crash");
    expect(subject.retryAfterMs()).toBe(90_000);
  });
});

describe("over a restart", () => {
  test("the time that passed counts towards the grown reset time", async () => {
    const { clock, subject } = breaker();
    open(subject);
    await clock.advance(30_000);
    subject.acquire()?.failure("timeout");
    const stored: unknown = JSON.parse(JSON.stringify(subject));
    const next = breaker({}, new VirtualClock(clock.nowMs() + 45_000)).subject;
    expect(next.restore(stored)).toBe(true);
    expect(next.retryAfterMs()).toBe(15_000);
    expect(next.getState()).toMatchObject({ openings: 2, state: "open" });
  });

  test.each([
    [20_000, 60_000],
    [60_000, 30_000],
  ])("closed %d ms before the end of the downtime, it opens for %d ms", async (downMs, expectedMs) => {
    const { clock, subject } = breaker();
    open(subject);
    await clock.advance(30_000);
    subject.acquire()?.success();
    const next = breaker({}, new VirtualClock(clock.nowMs() + downMs)).subject;
    next.restore(JSON.parse(JSON.stringify(subject)));
    open(next);
    expect(next.retryAfterMs()).toBe(expectedMs);
  });

  test("opened by a person, it waits what is left of one reset time", async () => {
    const { clock, subject } = breaker();
    subject.trip("a test", "person");
    const next = breaker({}, new VirtualClock(clock.nowMs() + 10_000)).subject;
    next.restore(JSON.parse(JSON.stringify(subject)));
    expect(next.retryAfterMs()).toBe(20_000);
  });
});

describe("what a failure counts for", () => {
  const own = { timeout: 5, error: 10, crash: 1 };
  test.each([
    ["timeout", 5],
    ["plugin-error", 10],
    ["bad-answer", 10],
    ["crash", 1],
    ["unavailable", 1],
    ["something else", 3],
  ])("a row of %s opens at number %d", (kind, most) => {
    const { subject } = breaker(own);
    let count = 0;
    while (subject.getState().state === "closed" && count < 100) {
      subject.recordFailure(kind);
      count++;
    }
    expect(count).toBe(most);
  });

  test("a mixed row opens when the shares come to one", () => {
    const { subject } = breaker(own);
    for (let i = 0; i < 4; i++) subject.recordFailure("timeout");
    expect(subject.getState().state).toBe("closed");
    subject.recordFailure("plugin-error");
    expect(subject.getState().state).toBe("closed");
    subject.recordFailure("plugin-error");
    expect(subject.getState()).toMatchObject({ state: "open", consecutiveFailures: 6 });
  });

  test("with one threshold for all it opens at exactly that number, whatever the kinds", () => {
    const kinds = fc.constantFrom("timeout", "crash", "plugin-error", "unavailable");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), kinds, (failures, kind) => {
        const { subject } = breaker({}, new VirtualClock(startMs), failures);
        for (let i = 1; i < failures; i++) subject.recordFailure(kind);
        expect(subject.getState().state).toBe("closed");
        subject.recordFailure("timeout");
        expect(subject.getState().state).toBe("open");
      }),
      { numRuns: 60 },
    );
  });

  test("overload counts for nothing, whatever the thresholds", () => {
    const { subject } = breaker({ timeout: 1, error: 1, crash: 1 });
    for (let i = 0; i < 100; i++) subject.acquire()?.failure("overload");
    expect(subject.getState()).toMatchObject({ state: "closed", consecutiveFailures: 0 });
  });
});
