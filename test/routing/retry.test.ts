/** The pure parts of retrying: how long to wait, and how much of it a budget allows. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  budgetWindowMs,
  isWorthRetrying,
  leastRetries,
  nextWaitMs,
  RetryBudget,
  RetryBudgets,
} from "../../src/routing/retry.ts";

test("only what another try may mend is worth it", () => {
  const worth = (["crash", "timeout", "unavailable"] as const).map(isWorthRetrying);
  const not = (
    [
      "plugin-error",
      "bad-answer",
      "overload",
      "too-large",
      "cancelled",
      "shed",
      "stopped",
      "breaker-open",
    ] as const
  ).map(isWorthRetrying);
  expect([worth.every(Boolean), not.some(Boolean)]).toEqual([true, false]);
});

test("each wait lies between 50 ms and three times the last one, at most a second", () => {
  expect([nextWaitMs(0, 0), nextWaitMs(0, 1), nextWaitMs(100, 0.5), nextWaitMs(900, 1)]).toEqual([
    50, 150, 175, 1_000,
  ]);
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(chance, { minLength: 1, maxLength: 20 }), (chances) => {
      let last = 0;
      for (const each of chances) {
        const next = nextWaitMs(last, each);
        expect(next).toBeGreaterThanOrEqual(50);
        expect(next).toBeLessThanOrEqual(Math.min(1_000, 3 * Math.max(50, last)));
        last = next;
      }
    }),
  );
});

describe("the budget", () => {
  test("is a tenth of the requests of the last 10 s, and comes back as they pass", () => {
    const budget = new RetryBudget(0.1);
    for (let i = 0; i < 100; i++) budget.request(i * 10);
    let spent = 0;
    for (; budget.allows(1_000); spent++) budget.spend(1_000);
    expect(spent).toBe(10);
    expect(budget.allows(budgetWindowMs - 1)).toBe(false);
    expect(budget.allows(budgetWindowMs + 1_000)).toBe(true);
  });

  test("has room for a few where little is asked", () => {
    const budget = new RetryBudget(0.1);
    budget.request(0);
    let spent = 0;
    for (; budget.allows(0); spent++) budget.spend(0);
    expect(spent).toBe(leastRetries);
  });

  test("never lets more through in any 10 s than its share, or the few", () => {
    const step = fc.record({ waitMs: fc.nat(1_500), requests: fc.nat(40), wanted: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const budget = new RetryBudget(0.1);
        const asked: number[] = [];
        const sent: number[] = [];
        let nowMs = 0;
        for (const { waitMs, requests, wanted } of steps) {
          nowMs += waitMs;
          for (let i = 0; i < requests; i++) {
            budget.request(nowMs);
            asked.push(nowMs);
          }
          for (let i = 0; i < wanted && budget.allows(nowMs); i++) {
            budget.spend(nowMs);
            sent.push(nowMs);
            // Slices are a second wide: what is certain is the window less the slice that is not over.
            const recent = (times: number[], ms: number) => times.filter((at) => at > nowMs - ms).length;
            const most = Math.max(leastRetries, 0.1 * recent(asked, budgetWindowMs + 1));
            expect(recent(sent, budgetWindowMs - 1_000)).toBeLessThanOrEqual(most);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("of one platform is not another's, and all together have one too", () => {
    const budgets = new RetryBudgets(0.1);
    for (let i = 0; i < 1_000; i++) budgets.request("busy", 0);
    const spend = (platform: string) => {
      let spent = 0;
      while (budgets.spend(platform, 0)) spent++;
      return spent;
    };
    expect(spend("quiet")).toBe(leastRetries);
    expect(spend("busy")).toBe(100 - leastRetries);
    expect(spend("another")).toBe(0);
  });
});
