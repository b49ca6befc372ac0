/** Notices that somebody set the wall clock. */

import type { Clock } from "../clock.ts";

/** A wall clock that moved by more than this against the monotonic one was set; less is rounding and drift. */
const leastStepMs = 500;

export class WallClock {
  readonly #clock: Clock;
  #aheadMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = clock.nowMs() - clock.monotonicMs();
  }

  /** By how much it was set since this was asked last; 0: it was not. */
  movedMs(): number {
    const aheadMs = this.#clock.nowMs() - this.#clock.monotonicMs();
    const movedMs = Math.round(aheadMs - this.#aheadMs);
    this.#aheadMs = aheadMs;
    return Math.abs(movedMs) > leastStepMs ? movedMs : 0;
  }
}
