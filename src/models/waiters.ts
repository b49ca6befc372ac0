/** Requests that wait until something has changed; bounded in number and time. */

import type { Clock } from "../clock.ts";

/** One more is refused. */
export const mostWaiting = 64;

export class Waiters {
  readonly #clock: Clock;
  readonly #wakes = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get full(): boolean {
    return this.#wakes.size >= mostWaiting;
  }

  /** All of them look again. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }

  /** Resolves at the next wake, after `ms`, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        signal.removeEventListener("abort", done);
        this.#wakes.delete(done);
        resolve();
      };
      const timer = this.#clock.after(ms, done);
      this.#wakes.add(done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }
}
