/** How long a failed delivery waits, and what an answer means. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { backoffMs, verdict } from "../../src/webhooks/verdict.ts";

const bounds = { initialMs: 1_000, maxMs: 60_000 };

test.each([
  [1, 0, null, 500],
  [1, 1, null, 1_000],
  [2, 0, null, 1_000],
  [5, 1, null, 16_000],
  [20, 1, null, 60_000],
  [1, 0, 5_000, 5_000],
  [1, 0, 3_600_000, 60_000],
])("after attempt %d with random %d and the wish %p: %d ms", (attempt, random, wishMs, ms) => {
  expect(backoffMs(attempt, bounds, random, wishMs)).toBe(ms);
});

test("a wait is never longer than the most, and at least half of what doubling gives", () => {
  const wish = fc.option(fc.integer({ min: 0, max: 1e9 }));
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      wish,
      (n, random, ms) => {
        const wait = backoffMs(n, bounds, random, ms);
        expect(wait).toBeLessThanOrEqual(bounds.maxMs);
        expect(wait).toBeGreaterThanOrEqual(Math.min(bounds.maxMs, bounds.initialMs * 2 ** (n - 1)) / 2);
      },
    ),
  );
});

test.each([
  [{ status: 200, retryAfter: null }, { kind: "delivered" }],
  [
    { status: 503, retryAfter: "7" },
    { kind: "again", reason: "HTTP 503", afterMs: 7_000 },
  ],
  [
    { status: 503, retryAfter: "Wed, 21 Oct 2026" },
    { kind: "again", reason: "HTTP 503", afterMs: null },
  ],
  [
    { status: 404, retryAfter: null },
    { kind: "refused", reason: "HTTP 404" },
  ],
  [
    { status: null, failure: "no answer" },
    { kind: "again", reason: "no answer", afterMs: null },
  ],
] as const)("%j means %j", (answered, meaning) => {
  expect(verdict(answered)).toEqual(meaning as ReturnType<typeof verdict>);
});
