/**
 * Whether and when a request is sent again. Pure: time and chance are arguments.
 *
 * Only where sending it twice does no harm, where another try may go better, and where a budget allows: when everything
 * fails, retries of everything would be what keeps it failing. The wait is exponential with decorrelated jitter: each
 * lies at random between the shortest and three times the last one, so that requests that failed together do not come
 * back together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
 */

import type { AttemptFailure } from "./outcome.ts";

/** Another try may find another process, or the same one again; after the others it would find the same, or do harm. */
const worthRetrying: ReadonlySet<AttemptFailure> = new Set(["crash", "timeout", "unavailable"]);

export const isWorthRetrying = (failure: AttemptFailure): boolean => worthRetrying.has(failure);

const shortestWaitMs = 50;
const longestWaitMs = 1_000;

/** Milliseconds to wait after having waited `lastMs` (0: the first time); `chance` is 0..1. */
export function nextWaitMs(lastMs: number, chance: number): number {
  const most = Math.max(shortestWaitMs, lastMs) * 3;
  return Math.min(longestWaitMs, shortestWaitMs + chance * (most - shortestWaitMs));
}

export const budgetWindowMs = 10_000;
const slices = 10;
const sliceMs = budgetWindowMs / slices;
/**
 * Retries that a window always has room for: a tenth of the few requests of a quiet platform would never come to one. At
 * 3 in 10 s that is no load.
 */
export const leastRetries = 3;

interface Slice {
  number: number;
  requests: number;
  retries: number;
}

/** At most `share` of the requests of the last 10 s again as retries, and always 3. */
export class RetryBudget {
  readonly #slices: Slice[] = Array.from({ length: slices }, () => ({ number: -1, requests: 0, retries: 0 }));

  /** `share` is 0..1. */
  constructor(readonly share: number) {}

  /** A request came; its retries are not counted here. */
  request(nowMs: number): void {
    this.#slice(nowMs).requests++;
  }

  /** Whether one more retry is allowed now. */
  allows(nowMs: number): boolean {
    const current = Math.floor(nowMs / sliceMs);
    let requests = 0;
    let retries = 0;
    for (const slice of this.#slices) {
      if (slice.number <= current - slices) continue;
      requests += slice.requests;
      retries += slice.retries;
    }
    return retries + 1 <= Math.max(leastRetries, this.share * requests);
  }

  /** A retry is sent. */
  spend(nowMs: number): void {
    this.#slice(nowMs).retries++;
  }

  #slice(nowMs: number): Slice {
    const number = Math.floor(nowMs / sliceMs);
    const index = number % slices;
    const slice = this.#slices[index];
    if (slice && slice.number === number) return slice;
    const fresh = { number, requests: 0, retries: 0 };
    this.#slices[index] = fresh;
    return fresh;
  }
}

/** Most platforms with a budget of their own; only platforms that are served get one. */
const mostBudgets = 1_024;

/** A budget for each platform, and one for all: a retry takes from both. */
export class RetryBudgets {
  readonly #share: number;
  readonly #all: RetryBudget;
  readonly #platforms = new Map<string, RetryBudget>();

  constructor(share: number) {
    this.#share = share;
    this.#all = new RetryBudget(share);
  }

  request(platform: string, nowMs: number): void {
    this.#of(platform).request(nowMs);
    this.#all.request(nowMs);
  }

  /** Takes a retry from both budgets; false, and nothing taken, when one has none. */
  spend(platform: string, nowMs: number): boolean {
    const own = this.#of(platform);
    if (!own.allows(nowMs) || !this.#all.allows(nowMs)) return false;
    own.spend(nowMs);
    this.#all.spend(nowMs);
    return true;
  }

  #of(platform: string): RetryBudget {
    const known = this.#platforms.get(platform);
    if (known) return known;
    const [oldest] = this.#platforms.keys();
    if (this.#platforms.size >= mostBudgets && oldest !== undefined) this.#platforms.delete(oldest);
    const made = new RetryBudget(this.#share);
    this.#platforms.set(platform, made);
    return made;
  }
}
