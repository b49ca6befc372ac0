/**
 * Sends a request again until it is answered, or a retry is no longer worth it.
 *
 *   try ── fails, worth retrying, idempotent, retries left ──▶ wait ── time left, budget ──▶ try
 *    └─ anything else ──▶ the last result                       └─ no time, no budget ──▶ the last result
 *
 * A plugin that crashed may be starting again when the wait is over: such a try is no load, so it takes nothing from the
 * budget, and the next one is waited for.
 */

import { type Clock, sleep } from "../clock.ts";
import type { AttemptResult } from "./attempt.ts";
import type { AttemptFailure } from "./outcome.ts";
import { isWorthRetrying, nextWaitMs, RetryBudgets } from "./retry.ts";

/** What came of wanting to send a request again: answered or failed by its last retry, or not sent for want of it. */
export type RetryOutcome = "answered" | "failed" | "no_budget" | "no_time";

export interface RetryingOptions {
  clock: Clock;
  /** 0..1: retries at most this share of the requests, for each platform and for all. */
  budgetRatio: number;
  /** Retries of one request; 0: none. */
  most: number;
  /** 0..1 */
  random: () => number;
  /** Told once for each request whose first try failed and might have been retried. */
  counted?: (platform: string, outcome: RetryOutcome) => void;
}

export interface RetriedRequest {
  platform: string;
  /** Sent twice, it does no more than sent once. */
  idempotent: boolean;
  /** Milliseconds that are left for it. */
  leftMs(): number;
  signal: AbortSignal | undefined;
  /** Whether a try would reach a plugin now. */
  ready(): boolean;
  send(): Promise<AttemptResult>;
}

type Failed = AttemptResult & { ok: false };

/** The plugin is on its way back: not this try, but the next one may reach it. */
const returning: ReadonlySet<AttemptFailure> = new Set(["failed", "starting"]);

export class Retrying {
  readonly #options: RetryingOptions;
  readonly #budgets: RetryBudgets;

  constructor(options: RetryingOptions) {
    this.#options = options;
    this.#budgets = new RetryBudgets(options.budgetRatio);
  }

  /** The result of the last try. Never rejects unless `send` does. */
  async run(request: RetriedRequest): Promise<AttemptResult> {
    const { clock, most, counted } = this.#options;
    this.#budgets.request(request.platform, clock.monotonicMs());
    const first = await request.send();
    if (first.ok || !request.idempotent || most === 0 || !isWorthRetrying(first.failure)) return first;
    const { result, outcome } = await this.#again(request, first);
    // A client that left wants no retry, and none is missing.
    if (!request.signal?.aborted) counted?.(request.platform, outcome);
    return result;
  }

  async #again(
    request: RetriedRequest,
    first: Failed,
  ): Promise<{ result: AttemptResult; outcome: RetryOutcome }> {
    const { clock, most, random } = this.#options;
    let result = first;
    let waitMs = 0;
    for (let retries = 0; retries < most; retries++) {
      waitMs = nextWaitMs(waitMs, random());
      if (waitMs >= request.leftMs()) return { result, outcome: retries === 0 ? "no_time" : "failed" };
      if (!(await this.#waited(waitMs, request.signal))) break;
      const ready = request.ready();
      if (ready && !this.#budgets.spend(request.platform, clock.monotonicMs()))
        return { result, outcome: "no_budget" };
      const next = await request.send();
      if (next.ok) return { result: next, outcome: "answered" };
      // What kept it down says less than what brought it down.
      if (!returning.has(next.failure)) result = next;
      if (!isWorthRetrying(next.failure) && !returning.has(next.failure)) break;
    }
    return { result, outcome: "failed" };
  }

  async #waited(waitMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await sleep(this.#options.clock, waitMs, signal);
      return true;
    } catch {
      // The client went away; nobody waits for another try.
      return false;
    }
  }
}
