/**
 * The places in front of one plugin: as many requests as its limit allows are under way, some wait in the order they
 * came, and one more is refused.
 */

import type { Clock } from "../clock.ts";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { DispatchFailure } from "./dispatcher.ts";

/** A place; `release` once. */
export interface Place {
  ok: true;
  /** Monotonic milliseconds. */
  takenAtMs: number;
  /** The plugin answered, or was given up for taking too long: the limit learns from how long that took. */
  answered(): void;
  release(): void;
}

type Waiter = (place: Place | DispatchFailure) => void;

export class Bulkhead {
  readonly #clock: Clock;
  readonly #limit: ConcurrencyLimit;
  readonly #waiting = new Set<Waiter>();
  #most: number;
  #queue: number;
  #inFlight = 0;

  /** At most `most` requests are under way, whatever the limit; `queue` more may wait. */
  constructor(clock: Clock, limit: ConcurrencyLimit, most: number, queue: number) {
    this.#clock = clock;
    this.#limit = limit;
    this.#most = most;
    this.#queue = queue;
  }

  get limit(): number {
    return this.#limit.limit;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** The plugin has more or fewer processes, or another manifest. */
  setBounds(most: number, queue: number): void {
    this.#queue = queue;
    if (most === this.#most) return;
    this.#most = most;
    this.#limit.setMost(most);
    this.#admit();
  }

  /** Takes a place, waiting at most `waitMs` for one. Never rejects. */
  enter(waitMs: number, signal: AbortSignal): Place | DispatchFailure | Promise<Place | DispatchFailure> {
    if (this.#inFlight < this.limit) return this.#take();
    // Places that the limit withholds are places to wait in: it refuses nobody whom the plugin itself would take.
    const room = this.#queue + this.#most - this.limit;
    if (this.#waiting.size >= room) return this.#full();
    return this.#wait(waitMs, signal);
  }

  #wait(waitMs: number, signal: AbortSignal): Promise<Place | DispatchFailure> {
    return new Promise((resolve) => {
      const settle: Waiter = (place) => {
        this.#waiting.delete(settle);
        timer.cancel();
        signal.removeEventListener("abort", left);
        resolve(place);
      };
      const left = () => settle({ ok: false, kind: "cancelled", message: "the caller went away" });
      const timer = this.#clock.after(waitMs, () => {
        const message = `waited ${Math.round(waitMs)} ms behind ${this.#inFlight} other requests`;
        settle({ ok: false, kind: "overload", message });
      });
      signal.addEventListener("abort", left, { once: true });
      this.#waiting.add(settle);
    });
  }

  #full(): DispatchFailure {
    const now = `${this.#inFlight} running and ${this.#waiting.size} waiting requests`;
    const message = `${now} are the most there may be (limits.concurrency, limits.queue, routing.concurrency)`;
    return { ok: false, kind: "overload", message };
  }

  #take(): Place {
    this.#inFlight++;
    const takenAtMs = this.#clock.monotonicMs();
    return {
      ok: true,
      takenAtMs,
      answered: () => this.#limit.answered(takenAtMs, this.#clock.monotonicMs(), this.#inFlight),
      release: () => {
        this.#inFlight--;
        this.#admit();
      },
    };
  }

  #admit(): void {
    for (const settle of this.#waiting) {
      if (this.#inFlight >= this.limit) return;
      settle(this.#take());
    }
  }
}
