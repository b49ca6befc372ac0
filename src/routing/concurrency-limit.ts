/**
 * How many requests a plugin is given at once: a fixed number, or one that follows what it can take. Pure: time is an
 * argument.
 *
 * The adaptive one is a gradient, after Netflix's concurrency-limits. While a plugin has room, its answers take as long as
 * ever; beyond that each request more only makes all of them wait. So answers that take longer than they need to say
 * that the limit is over the knee:
 *
 *   gradient = shortest / now, at least 0.5            (medians of a window; the shortest of the last windows)
 *   limit    = limit · (1 - smoothing) + smoothing · (limit · gradient + √limit)
 *
 * Medians, since a few answers that take long by nature say nothing about load.
 * √limit is headroom: it lets the limit grow while the gradient is 1, and a small queue stand at the plugin.
 * The shortest is only as good as the load it was seen under. A plugin that is busy without a break is therefore given
 * half as much for one window now and then, and what that takes is the shortest from there on. Where half as much takes
 * about half as long, the rest had only been waiting: then half it is, and half of that is looked at next.
 */

export interface ConcurrencyLimit {
  /** Requests at once; a whole number, at least 1. */
  readonly limit: number;
  /** From now on the limit is at most this. */
  setMost(most: number): void;
  /**
   * A request that was begun at `startedAtMs` was answered, or given up for taking too long, at `nowMs`; `inFlight` were
   * under way, itself included.
   */
  answered(startedAtMs: number, nowMs: number, inFlight: number): void;
}

/** Always as many as there may be. */
export class FixedLimit implements ConcurrencyLimit {
  limit: number;

  constructor(most: number) {
    this.limit = most;
  }

  setMost(most: number): void {
    this.limit = most;
  }

  answered(): void {
    // Nothing is learned from it.
  }
}

/** A window is closed when it is so old and holds so many answers: fewer say little. */
const windowMs = 250;
const windowAnswers = 20;
/** Answers of one window that are looked at: the first so many. */
const mostAnswers = 512;
/** Windows whose shortest median counts, a look and all up to the next; what is older may be of another version. */
const rememberedWindows = 100;
/** What answers differ by without any load: one in 0.1 ms and one in 0.3 are the same. */
const noiseMs = 1;
/** Up to this share of the time before, half the load took about half as long. */
const halvedShare = 0.6;
/** It begins with this many, or as many as there may be: less than that is found fast, more is grown to. */
const firstLimit = 16;
/** After a first look that found nothing waiting, and until a gradient under this, a busy window raises the limit by half. */
const risingGradient = 0.8;
const rise = 1.5;
const smoothing = 0.2;
const leastGradient = 0.5;
/** Busy windows up to the first look with half the limit; each time twice as many, up to the most. */
const firstLookWindows = 1;
const mostLookWindows = 80;

export class AdaptiveLimit implements ConcurrencyLimit {
  #limit: number;
  #most: number;
  /** While the limit is half of what it is: the median before, to compare with; else null. */
  #lookingFromMs: number | null = null;
  /** Null: nobody has looked yet. */
  #rising: boolean | null = null;
  #busyWindows = 0;
  #lookAfter = firstLookWindows;
  /** Median milliseconds of each of the last windows. */
  #medians: number[] = [];
  #windowAt: number;
  /** What each answer of this window took. */
  #tookMs: number[] = [];
  #mostInFlight = 0;

  constructor(most: number, nowMs: number) {
    this.#most = most;
    this.#limit = Math.min(most, firstLimit);
    this.#windowAt = nowMs;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#lookingFromMs === null ? this.#limit : this.#limit / 2));
  }

  setMost(most: number): void {
    if (most === this.#most) return;
    this.#most = most;
    this.#limit = Math.min(this.#limit, most);
  }

  answered(startedAtMs: number, nowMs: number, inFlight: number): void {
    // It was begun under another limit.
    if (startedAtMs < this.#windowAt) return;
    if (this.#tookMs.length < mostAnswers) this.#tookMs.push(nowMs - startedAtMs);
    this.#mostInFlight = Math.max(this.#mostInFlight, inFlight);
    if (this.#tookMs.length >= windowAnswers && nowMs - this.#windowAt >= windowMs) this.#close(nowMs);
  }

  #close(nowMs: number): void {
    const medianMs = this.#tookMs.sort((a, b) => a - b)[this.#tookMs.length >> 1] ?? 0;
    const busy = this.#mostInFlight >= this.limit / 2;
    this.#windowAt = nowMs;
    this.#tookMs = [];
    this.#mostInFlight = 0;
    if (this.#lookingFromMs !== null) {
      this.#looked(medianMs, this.#lookingFromMs);
      return;
    }
    this.#medians.push(medianMs);
    if (this.#medians.length > rememberedWindows) this.#medians.shift();
    // Where little is asked at once, a slow answer is not for too much at once.
    if (busy) this.#adjust(medianMs);
    this.#schedule(busy, medianMs);
  }

  #adjust(medianMs: number): void {
    const ratio = (Math.min(...this.#medians) + noiseMs) / (medianMs + noiseMs);
    const gradient = Math.max(leastGradient, ratio);
    if (gradient < risingGradient) this.#rising = false;
    const aim = this.#limit * gradient + Math.sqrt(this.#limit);
    const smoothed = this.#limit * (1 - smoothing) + aim * smoothing;
    const next = this.#rising ? this.#limit * rise : smoothed;
    this.#limit = Math.min(this.#most, Math.max(1, next));
  }

  #looked(medianMs: number, beforeMs: number): void {
    this.#medians = [medianMs];
    const halved = medianMs + noiseMs <= halvedShare * (beforeMs + noiseMs);
    this.#rising = !halved && this.#rising !== false;
    if (halved) this.#limit /= 2;
    this.#lookingFromMs = halved && this.#limit >= 2 ? medianMs : null;
  }

  #schedule(busy: boolean, medianMs: number): void {
    // A window with little to do has shown what an answer takes, and of 1 there is no half.
    if (!busy || this.#limit < 2) this.#busyWindows = 0;
    else if (++this.#busyWindows >= this.#lookAfter) {
      this.#busyWindows = 0;
      this.#lookAfter = Math.min(mostLookWindows, this.#lookAfter * 2);
      this.#lookingFromMs = medianMs;
    }
  }
}
