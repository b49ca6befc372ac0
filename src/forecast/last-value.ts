import type { PointForecast, ScoredMethod } from "./scored-methods.ts";
import { studentT975 } from "./student-t.ts";

/** Increments that the interval is made from. */
const increments = 50;

/**
 * The last value stays: what any forecaster has to beat. Its 95 % interval is a random walk's without drift, about the
 * last value: t(0.975, n) · sqrt(mean(dy² / dt) · horizon) over the last n increments, at most 50.
 */
export class LastValue implements ScoredMethod, PointForecast {
  value = Number.NaN;
  lower = Number.NaN;
  upper = Number.NaN;
  readonly #horizonSeconds: number;
  /** dy² / dt of the last increments, in a ring. */
  readonly #rates = new Float64Array(increments);
  #next = 0;
  #count = 0;
  #lastSeconds = Number.NaN;

  constructor(horizonSeconds: number) {
    this.#horizonSeconds = horizonSeconds;
  }

  push(tSeconds: number, value: number): void {
    const stepSeconds = tSeconds - this.#lastSeconds;
    if (stepSeconds > 0) {
      const step = value - this.value;
      this.#rates[this.#next] = (step * step) / stepSeconds;
      this.#next = this.#next + 1 === increments ? 0 : this.#next + 1;
      if (this.#count < increments) this.#count++;
    }
    this.#lastSeconds = tSeconds;
    this.value = value;
  }

  /** Summed anew each time: a running sum would keep the rounding of a large jump that has left the ring. */
  forecast(): PointForecast | null {
    if (this.#count === 0) return null;
    let sum = 0;
    for (let i = 0; i < this.#count; i++) sum += this.#rates[i] as number;
    const halfWidth = studentT975(this.#count) * Math.sqrt((sum / this.#count) * this.#horizonSeconds);
    this.lower = this.value - halfWidth;
    this.upper = this.value + halfWidth;
    return this;
  }
}
