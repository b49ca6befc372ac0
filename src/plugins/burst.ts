/** Many notices, one call: after a quiet time, or after a longest wait when it does not become quiet. */

import type { Clock, Timer } from "../clock.ts";

export interface BurstOptions {
  clock: Clock;
  /** Called so long after the last notice, ms, */
  quietMs: number;
  /** but never longer than this after the first. */
  longestMs: number;
  run(): void;
}

export class Burst {
  readonly #options: BurstOptions;
  #firstMs: number | null = null;
  #lastMs = 0;
  #timer: Timer | null = null;

  constructor(options: BurstOptions) {
    this.#options = options;
  }

  /** Cheap: a hundred thousand a second set one timer. */
  note(): void {
    this.#lastMs = this.#options.clock.monotonicMs();
    if (this.#firstMs !== null) return;
    this.#firstMs = this.#lastMs;
    this.#arm(this.#options.quietMs);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => this.#due());
  }

  #due(): void {
    if (this.#firstMs === null) return;
    const { clock, quietMs, longestMs, run } = this.#options;
    const now = clock.monotonicMs();
    const dueMs = Math.min(this.#lastMs + quietMs, this.#firstMs + longestMs);
    if (now < dueMs) {
      this.#arm(dueMs - now);
      return;
    }
    this.#firstMs = null;
    this.#timer = null;
    run();
  }

  /** Forgets what was noted. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#firstMs = null;
  }
}
