/** A plugin that slows down beyond a knee, and clients that ask more than it can take, on a virtual clock. */

import { VirtualClock } from "../../src/clock.ts";
import { Bulkhead } from "../../src/routing/bulkhead.ts";
import type { ConcurrencyLimit } from "../../src/routing/concurrency-limit.ts";

export interface Knee {
  /** Requests that it works on side by side at full speed. */
  knee: number;
  /** One request alone. */
  serviceMs: number;
  /** Work lost to working on too much at once: at twice the knee the throughput is 1 / (1 + `strain`). */
  strain: number;
}

/** Shares its speed among what it works on; each request has its own amount of work, seeded. */
class KneedPlugin {
  readonly #working: { leftMs: number; done: () => void }[] = [];
  #seed = 7;

  constructor(readonly shape: Knee) {}

  serve(done: () => void): void {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    this.#working.push({ leftMs: this.shape.serviceMs * (0.7 + (0.6 * this.#seed) / 2_147_483_647), done });
  }

  step(ms: number): void {
    const { knee, strain } = this.shape;
    const over = Math.max(0, this.#working.length - knee) / knee;
    const speed = Math.min(1, knee / Math.max(1, this.#working.length)) / (1 + strain * over);
    for (const request of this.#working) request.leftMs -= speed * ms;
    for (let i = this.#working.length - 1; i >= 0; i--) {
      const request = this.#working[i];
      if (!request || request.leftMs > 0) continue;
      this.#working.splice(i, 1);
      request.done();
    }
  }
}

export interface Load {
  most: number;
  queue: number;
  /** As a multiple of what the plugin can do at its knee. */
  load: number;
  seconds: number;
  /** Answers later than this are of no use to the client. */
  timeoutMs: number;
}

export interface Served {
  /** Answers in time a second, and limits, over the last half of the run. */
  goodputPerSecond: number;
  meanLimit: number;
  lowestLimit: number;
  highestLimit: number;
}

/** Runs the load through a bulkhead with that limit, a millisecond at a time. */
export async function serveLoad(
  shape: Knee,
  limitOf: (most: number, nowMs: number) => ConcurrencyLimit,
  { most, queue, load, seconds, timeoutMs }: Load,
): Promise<Served> {
  const clock = new VirtualClock();
  const plugin = new KneedPlugin(shape);
  const bulkhead = new Bulkhead(clock, limitOf(most, 0), most, queue);
  const signal = new AbortController().signal;
  const arrivalsPerMs = (load * shape.knee) / shape.serviceMs;
  const limits: number[] = [];
  let due = 0;
  let inTime = 0;
  const ask = async () => {
    const askedAtMs = clock.monotonicMs();
    const place = await bulkhead.enter(timeoutMs / 2, signal);
    if (!place.ok) return;
    plugin.serve(() => {
      place.answered();
      place.release();
      const now = clock.monotonicMs();
      if (now >= seconds * 500 && now - askedAtMs <= timeoutMs) inTime++;
    });
  };
  for (let ms = 0; ms < seconds * 1_000; ms++) {
    for (due += arrivalsPerMs; due >= 1; due--) void ask();
    await clock.advance(1);
    plugin.step(1);
    if (ms >= seconds * 500) limits.push(bulkhead.limit);
  }
  return {
    goodputPerSecond: inTime / (seconds / 2),
    meanLimit: limits.reduce((sum, limit) => sum + limit, 0) / limits.length,
    lowestLimit: Math.min(...limits),
    highestLimit: Math.max(...limits),
  };
}
