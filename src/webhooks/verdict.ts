/** What an answer to an attempt means, and how long to wait for the next one. Pure. */

import type { Answered } from "./post.ts";

/** delivered; again: a later attempt may succeed; refused: no later attempt would. */
export type Verdict =
  | { kind: "delivered" }
  | { kind: "again"; reason: string /** The receiver's own wish. */; afterMs: number | null }
  | { kind: "refused"; reason: string };

/** Statuses under 500 that say "later". */
const later = new Set([408, 425, 429]);

/** Judges one attempt. A redirect is refused: what is signed for one receiver is not sent to another. */
export function verdict(answered: Answered): Verdict {
  if (answered.status === null) return { kind: "again", reason: answered.failure, afterMs: null };
  const { status, retryAfter } = answered;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  if (status >= 300 && status < 400)
    return {
      kind: "refused",
      reason: `HTTP ${status}: a redirect, which is not followed; set the final url`,
    };
  const reason = `HTTP ${status}`;
  if (status < 500 && !later.has(status)) return { kind: "refused", reason };
  const seconds = /^\d{1,7}$/.test(retryAfter ?? "") ? Number(retryAfter) : null;
  return { kind: "again", reason, afterMs: seconds === null ? null : seconds * 1_000 };
}

/**
 * Milliseconds to wait after attempt number `attempt` (from 1): doubled each time, of that the upper half at random, so
 * that many senders do not come back together. A receiver's own wish is kept where it is longer; `maxMs` bounds both.
 */
export function backoffMs(
  attempt: number,
  { initialMs, maxMs }: { initialMs: number; maxMs: number },
  random: number,
  wishMs: number | null,
): number {
  const full = Math.min(maxMs, initialMs * 2 ** (attempt - 1));
  return Math.min(maxMs, Math.max(full * (0.5 + random / 2), wishMs ?? 0));
}
