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
/** None waits for longer: beyond 1,000 that wait, the pace quickens. */
export const mostWaitMs = 2_000;
/** Refusals that wait at once, each with its connection; those beyond are told at once. */
export const mostWaiting = 4_096;

const refusals: ReadonlySet<number> = new Set([429, 503]);

export class RefusalPace {
  /** When the last refusal was told or will be, at this pace. */
  #lastMs = Number.NEGATIVE_INFINITY;
  #waiting = 0;

  constructor(private readonly clock: Clock) {}

  /** Milliseconds that the next refusal has to wait; where that is not 0, `told` is called after it. */
  take(): number {
    if (this.#waiting >= mostWaiting) return 0;
    const nowMs = this.clock.monotonicMs();
    const turnMs = Math.max(this.#lastMs, nowMs - burst * stepMs) + stepMs;
    this.#lastMs = Math.min(turnMs, nowMs + mostWaitMs);
    const waitMs = Math.max(0, this.#lastMs - nowMs);
    if (waitMs > 0) this.#waiting++;
    return waitMs;
  }

  told(): void {
    this.#waiting--;
  }
}

/** Answers of 429 and 503 wait for their turn; nothing of the request is held but its connection. */
export function pacedRefusals(clock: Clock): MiddlewareHandler {
  const pace = new RefusalPace(clock);
  return async (context, next) => {
    await next();
    if (!refusals.has(context.res.status)) return;
    const waitMs = pace.take();
    if (waitMs === 0) return;
    await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
    pace.told();
  };
}
