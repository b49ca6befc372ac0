/** Tells when somebody set the wall clock: it then moved against the monotonic one. */

import type { Clock } from "../clock.ts";

/** Moved by more than this it was set; less is rounding and drift. */
const leastStepMs = 500;

export class WallClock {
  /** What the wall clock is ahead of the monotonic one. */
  #aheadMs: number;

  constructor(private readonly clock: Clock) {
    this.#aheadMs = clock.nowMs() - clock.monotonicMs();
  }

  /** Milliseconds by which it was set since the last call; 0: it was not. */
  setByMs(): number {
    const aheadMs = this.clock.nowMs() - this.clock.monotonicMs();
    const movedMs = Math.round(aheadMs - this.#aheadMs);
    this.#aheadMs = aheadMs;
    return Math.abs(movedMs) > leastStepMs ? movedMs : 0;
  }
}
