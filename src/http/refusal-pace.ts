/**
 * Refusals at a pace: a client that asks again the moment it is refused, in spite of Retry-After, is told so later the more
 * of them there are. Else a few hundred such clients keep the conductor busy with saying no, and the plugin, which is read
 * from once a turn of the loop, stands idle meanwhile.
 */

import type { MiddlewareHandler } from "hono";
import type { Clock } from "../clock.ts";

/** Time for one refusal: 500 a second, about a tenth of what the conductor can answer. */
const stepMs = 2;
/** Refusals in a row that are told at once. */
const burst = 100;
/** None waits for longer, so at most 1,000 wait; those beyond are told at once. */
export const mostWaitMs = 2_000;

const refusals: ReadonlySet<number> = new Set([429, 503]);

export class RefusalPace {
  /** When the last refusal was told or will be, at this pace. */
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly clock: Clock) {}

  /** Milliseconds until the next refusal may be told; its turn is then taken. */
  take(): number {
    const nowMs = this.clock.monotonicMs();
    const turnMs = Math.max(this.#lastMs, nowMs - burst * stepMs) + stepMs;
    if (turnMs - nowMs > mostWaitMs) return 0;
    this.#lastMs = turnMs;
    return Math.max(0, turnMs - nowMs);
  }
}

/** Answers of 429 and 503 wait for their turn; nothing of the request is held but its connection. */
export function pacedRefusals(clock: Clock): MiddlewareHandler {
  const pace = new RefusalPace(clock);
  return async (context, next) => {
    await next();
    if (!refusals.has(context.res.status)) return;
    const waitMs = pace.take();
    if (waitMs > 0) await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
  };
}
