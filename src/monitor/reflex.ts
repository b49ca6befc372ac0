/**
 * The reflex: reads memory alone, the more often the less there is left.
 *
 *   far from the line: `slowest`                                       at or over the line: `fastest`
 *   between: the time in which memory would reach the line if it filled as fast as it well might
 */

import type { Clock, Timer } from "../clock.ts";
import type { MemoryReading } from "./budget.ts";
import type { Gaps } from "./gaps.ts";

export interface ReflexLimits {
  slowestMs: number;
  fastestMs: number;
  /** Share of the budget from which memory is read at the fastest rate: where shedding begins. */
  lineRatio: number;
}

/**
 * As fast as programs are expected to fill memory. A page must be zeroed before it is handed out: a core of a small
 * virtual machine was measured at 0.5 GiB/s, and earlyoom, on a desktop with four busy cores, at 6 (its
 * `sleep_time_ms`, after which this rule is made: headroom over the fastest fill rate, within bounds).
 */
export const mostBytesPerSecond = 4 * 2 ** 30;

/** What grows is expected to grow up to this many times as fast until the next reading. */
const growthMargin = 2;

/**
 * Milliseconds to the next reading: headroom / rate, within `fastestMs`..`slowestMs`. So a reading is due at the latest
 * when the line could have been reached. `growthPerSecond` is the share of the budget by which use grew since the last
 * reading, `mostPerSecond` the share that could be filled at most. Less headroom, or more growth, never means a longer
 * wait.
 */
export function reflexDelayMs(
  usedRatio: number,
  growthPerSecond: number,
  limits: ReflexLimits,
  mostPerSecond: number,
): number {
  const headroom = limits.lineRatio - usedRatio;
  const rate = Math.max(mostPerSecond, growthMargin * growthPerSecond);
  const delayMs = (1_000 * headroom) / rate;
  // Written so that what is no number is met with the fastest rate, as is what lies over the line.
  return delayMs >= limits.fastestMs ? Math.min(limits.slowestMs, delayMs) : limits.fastestMs;
}

export interface ReflexOptions {
  clock: Clock;
  gaps: Gaps;
  limits: ReflexLimits;
  /** Reads memory; may throw. */
  read: () => MemoryReading | null;
  /** Called with each reading, in order. */
  onReading: (reading: MemoryReading, atMs: number) => void;
  /** Called after each reading but the first, which waits for nothing: by how much later it came than it was due. */
  onLate: (lateMs: number) => void;
}

/** One reading after the other: the next is due only when the last was handed on. */
export class Reflex {
  readonly #options: ReflexOptions;
  readonly #read: () => MemoryReading | null;
  readonly #beat = (): void => this.#onBeat();
  #timer: Timer | null = null;
  #running = false;
  #lastRatio: number | null = null;
  #lastMonotonicMs = 0;
  #delayMs = 0;
  #dueMonotonicMs = Number.POSITIVE_INFINITY;

  constructor(options: ReflexOptions) {
    this.#options = options;
    this.#read = options.read;
  }

  /** Milliseconds between the last reading and the next; 0 before the first. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** Reads at once, and goes on until `stop`. Nothing when it runs already. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#lastRatio = null;
    this.#dueMonotonicMs = Number.POSITIVE_INFINITY;
    this.#onBeat();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** Memory at this moment, beside the beat; null, and a gap, when it cannot be read. */
  readNow(): MemoryReading | null {
    return this.#options.gaps.attempt("memory", this.#read);
  }

  #onBeat(): void {
    const { clock, gaps, limits, onReading, onLate } = this.#options;
    const lateMs = clock.monotonicMs() - this.#dueMonotonicMs;
    const reading = this.readNow();
    this.#delayMs = reading ? this.#delayAfter(reading) : limits.fastestMs;
    if (reading) gaps.deliver("reflex", () => onReading(reading, clock.nowMs()));
    if (lateMs >= 0) gaps.deliver("reflex", () => onLate(lateMs));
    if (!this.#running) return;
    this.#dueMonotonicMs = clock.monotonicMs() + this.#delayMs;
    this.#timer = clock.after(this.#delayMs, this.#beat);
  }

  #delayAfter({ usedRatio, budgetBytes }: MemoryReading): number {
    const monotonicMs = this.#options.clock.monotonicMs();
    const seconds = (monotonicMs - this.#lastMonotonicMs) / 1_000;
    const growth = this.#lastRatio !== null && seconds > 0 ? (usedRatio - this.#lastRatio) / seconds : 0;
    this.#lastRatio = usedRatio;
    this.#lastMonotonicMs = monotonicMs;
    return reflexDelayMs(usedRatio, growth, this.#options.limits, mostBytesPerSecond / budgetBytes);
  }
}
