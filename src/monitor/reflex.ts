/**
 * The reflex: reads memory alone, the more often the less there is left.
 *
 *   far from the line: `slowest`                                       at or over the line: `fastest`
 *   between: a quarter of the time in which memory would reach the line if it filled at `mostRatioPerSecond`
 *   or, where that is more, at twice the rate it grew since the last reading
 */

import type { Clock, Timer } from "../clock.ts";
import type { MemoryReading } from "./budget.ts";
import type { Gaps } from "./gaps.ts";

export interface ReflexLimits {
  slowestMs: number;
  fastestMs: number;
  /** Share of the budget from which memory is read at the fastest rate. */
  lineRatio: number;
}

/** A host of this size seldom fills faster than a third of its budget a second (4 GiB/s of 12 GiB). */
const mostRatioPerSecond = 1 / 3;
/** Readings before the line would be reached. */
const readingsAhead = 4;

/** How long to wait before the next reading, given the share in use and its growth a second. */
export function reflexDelayMs(usedRatio: number, growthPerSecond: number, limits: ReflexLimits): number {
  const headroom = limits.lineRatio - usedRatio;
  if (headroom <= 0) return limits.fastestMs;
  const rate = Math.max(mostRatioPerSecond, 2 * growthPerSecond);
  const delayMs = (1_000 * headroom) / rate / readingsAhead;
  return Math.min(limits.slowestMs, Math.max(limits.fastestMs, delayMs));
}

export interface ReflexOptions {
  clock: Clock;
  gaps: Gaps;
  limits: ReflexLimits;
  /** Reads memory; may throw. */
  read: () => MemoryReading | null;
  /** Called with each reading, in order. */
  onReading: (reading: MemoryReading, atMs: number) => void;
}

export class Reflex {
  readonly #options: ReflexOptions;
  #timer: Timer | null = null;
  #last: { usedRatio: number; monotonicMs: number } | null = null;
  #delayMs = 0;
  #stopped = true;

  constructor(options: ReflexOptions) {
    this.#options = options;
  }

  /** Milliseconds between the last reading and the next. */
  get delayMs(): number {
    return this.#delayMs;
  }

  start(): void {
    this.#stopped = false;
    this.#beat();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Memory at this moment; null, and a gap, when it cannot be read. */
  readNow(): MemoryReading | null {
    return this.#options.gaps.attempt("memory", this.#options.read);
  }

  #beat(): void {
    if (this.#stopped) return;
    const { clock, limits } = this.#options;
    const reading = this.readNow();
    this.#delayMs = reading ? this.#delayAfter(reading.usedRatio) : limits.fastestMs;
    this.#timer = clock.after(this.#delayMs, () => this.#beat());
    if (reading) this.#options.onReading(reading, clock.nowMs());
  }

  #delayAfter(usedRatio: number): number {
    const monotonicMs = this.#options.clock.monotonicMs();
    const last = this.#last;
    this.#last = { usedRatio, monotonicMs };
    const seconds = last ? (monotonicMs - last.monotonicMs) / 1_000 : 0;
    const growth = last && seconds > 0 ? (usedRatio - last.usedRatio) / seconds : 0;
    return reflexDelayMs(usedRatio, growth, this.#options.limits);
  }
}
