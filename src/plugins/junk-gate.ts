/** Limits the work that a flood of small worthless messages makes. */

import type { Clock } from "../clock.ts";

const windowMs = 100;
/** Worthless messages looked at in one window. */
const mostInWindow = 1_000;

/** After `mostInWindow` worthless messages, `shut` is true until the window ends: what comes then is dropped unread. */
export class JunkGate {
  #windowEndsMs = 0;
  #inWindow = 0;

  constructor(readonly clock: Clock) {}

  count(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + windowMs;
      this.#inWindow = 0;
    }
    this.#inWindow++;
  }

  get shut(): boolean {
    return this.#inWindow >= mostInWindow && this.clock.monotonicMs() < this.#windowEndsMs;
  }
}
