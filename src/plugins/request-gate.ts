/** How many requests a plugin works on at once, how many wait, and when no more are let in. */

import type { Clock } from "../clock.ts";
import { type CallFailure, failed } from "./transport.ts";

/** Requests that wait for a plugin; one more is refused with overload. */
export const mostQueuedRequests = 256;

export type Admission = { ok: true; release(): void } | CallFailure;

interface Waiter {
  settle(admission: Admission): void;
}

export class RequestGate {
  readonly #waiting = new Set<Waiter>();
  #running = 0;
  #onIdle: (() => void)[] = [];

  #concurrency: number;
  #idleSinceMs: number;

  constructor(
    concurrency: number,
    readonly clock: Clock,
  ) {
    this.#concurrency = concurrency;
    this.#idleSinceMs = clock.monotonicMs();
  }

  /** Since when nothing runs and nothing waits, in monotonic milliseconds; null while something does. */
  get idleSinceMs(): number | null {
    return this.#running === 0 && this.#waiting.size === 0 ? this.#idleSinceMs : null;
  }

  /** Requests worked on at once, from now on; lowering it ends none. */
  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency;
    this.#admitWaiting();
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** Takes a place, waiting at most `timeoutMs` for one. Never rejects; `release` must be called once. */
  async enter(timeoutMs: number, signal?: AbortSignal): Promise<Admission> {
    if (signal?.aborted) return failed("cancelled", "the caller went away");
    if (this.#running < this.#concurrency) return this.#admit();
    if (this.#waiting.size >= mostQueuedRequests)
      return failed("overload", `${this.#running} requests run and ${this.#waiting.size} wait`);
    return new Promise((resolve) => {
      const onAbort = () => waiter.settle(failed("cancelled", "the caller went away"));
      const timer = this.clock.after(timeoutMs, () =>
        waiter.settle(failed("timeout", `waited ${Math.round(timeoutMs)} ms behind other requests`)),
      );
      const waiter: Waiter = {
        settle: (admission) => {
          this.#waiting.delete(waiter);
          timer.cancel();
          signal?.removeEventListener("abort", onAbort);
          resolve(admission);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  #admit(): Admission {
    this.#running++;
    let released = false;
    return {
      ok: true,
      release: () => {
        if (released) return;
        released = true;
        this.#running--;
        this.#idleSinceMs = this.clock.monotonicMs();
        this.#admitWaiting();
        if (this.#running === 0) for (const run of this.#onIdle.splice(0)) run();
      },
    };
  }

  #admitWaiting(): void {
    for (const waiter of this.#waiting) {
      if (this.#running >= this.#concurrency) return;
      waiter.settle(this.#admit());
    }
  }

  /** Turns away everyone who waits. */
  turnAway(failure: CallFailure): void {
    for (const waiter of [...this.#waiting]) waiter.settle(failure);
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }
}
