/** Notices that an engine is silent for too long; time in which nobody waits for it does not count. */

import type { Clock, Timer } from "../clock.ts";

export interface SilenceLimits {
  /** Until the first text: the prompt is read meanwhile. */
  firstTextMs: number;
  /** Between two texts. */
  betweenMs: number;
}

/** One timer for the whole answer: it looks when it fires, so that a token costs no timer of its own. */
export class Silence {
  readonly #clock: Clock;
  readonly #limits: SilenceLimits;
  readonly #tooLong: (silentMs: number) => void;
  #limitMs: number;
  #waitingSinceMs: number | null = null;
  #timer: Timer | null = null;

  constructor(clock: Clock, limits: SilenceLimits, tooLong: (silentMs: number) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#limitMs = limits.firstTextMs;
    this.#tooLong = tooLong;
    this.#arm(this.#limitMs);
  }

  /** The next step is waited for from now on. */
  wait(): void {
    this.#waitingSinceMs = this.#clock.monotonicMs();
    if (this.#timer === null) this.#arm(this.#limitMs);
  }

  /** It came. */
  heard(): void {
    this.#waitingSinceMs = null;
    if (this.#limitMs === this.#limits.betweenMs) return;
    this.#limitMs = this.#limits.betweenMs;
    this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    if (this.#waitingSinceMs === null) return;
    const silentMs = this.#clock.monotonicMs() - this.#waitingSinceMs;
    if (silentMs < this.#limitMs) this.#arm(this.#limitMs - silentMs);
    else this.#tooLong(this.#limitMs);
  }
}
