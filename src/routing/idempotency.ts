/**
 * One key, one answer.
 *
 *   new key                        -> carried out; its answer is kept
 *   key with an answer             -> the kept answer
 *   key under way                  -> waits for that answer, at most `waitMs`, then refused, 409
 *   key with another body          -> refused, 422
 *   a key that cannot be kept      -> refused, 503, and not carried out: a duplicate could not be told from it
 *   refused                        -> the key is free again: the next one is a new try
 *   an answer that cannot be kept  -> given all the same, and held in memory for duplicates
 */

import type { Clock } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
import type { IdempotencyKeys } from "../storage/idempotency-keys.ts";
import type { Outcome, Refused, RouteRequest } from "./outcome.ts";
import type { Parked } from "./parking.ts";
import type { Told } from "./refusal.ts";

export type Taken = Outcome | Parked;

/** `repeated`: the answer is that of an earlier request with the same key. */
export interface TakenOnce {
  outcome: Taken;
  repeated: boolean;
}

export interface IdempotencyOptions {
  clock: Clock;
  keys: Pick<IdempotencyKeys, "find" | "reserve" | "finish" | "finishWithin" | "forget">;
  newRequestId: () => string;
  /** A duplicate waits for the first one at most this long. */
  waitMs: number;
  /** Duplicates that wait at once; further ones are refused at once. */
  mostWaiting?: number;
}

/** The parts of JSON in an order of their own, so that the same body in another order of keys is the same. */
function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const sorted = Object.keys(value).sort();
  return Object.fromEntries(sorted.map((key) => [key, inOrder(value[key] ?? null)]));
}

/** What makes two requests the same: platform, type and payload. */
export function bodyHashOf({ platform, type = "message", payload }: RouteRequest): string {
  const text = JSON.stringify([platform, type, inOrder(payload)]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

const inUse = (waited: string): Told => ({
  status: 409,
  code: "idempotency-key-in-use",
  title: "A request with this idempotency key is under way",
  detail: `${waited}; ask again with the same key for its answer`,
  retryAfterSeconds: 1,
});

const otherBody: Told = {
  status: 422,
  code: "idempotency-key-reused",
  title: "The idempotency key belongs to another request",
  detail: "it came before with another platform, type or payload; use a new key for a new request",
};

const notKept = (message: string): Told => ({
  status: 503,
  code: "idempotency-key-not-kept",
  title: "The idempotency key cannot be kept",
  detail: `nothing was carried out, since a duplicate could not be told from it: ${message}`,
  retryAfterSeconds: 5,
});

interface First {
  bodyHash: string;
  outcome: Promise<Taken>;
}

/** Answers that the database did not take, held in memory; the oldest leaves. */
const mostUnsaved = 16;

export class Idempotency {
  readonly #underWay = new Map<string, First>();
  readonly #unsaved = new Map<string, First>();
  #waiting = 0;

  constructor(private readonly options: IdempotencyOptions) {}

  /**
   * The outcome for `key`. `carryOut` runs at most once at a time for it; where it keeps its outcome itself, within the
   * transaction that makes it true, it calls `keep` there.
   */
  async once(
    key: string,
    request: RouteRequest,
    carryOut: (keep: (outcome: Taken) => void) => Promise<Taken>,
  ): Promise<TakenOnce> {
    const { keys, clock } = this.options;
    const bodyHash = bodyHashOf(request);
    const first = this.#underWay.get(key) ?? this.#unsaved.get(key);
    if (first) return this.#duplicate(request, bodyHash, first);
    const nowMs = clock.nowMs();
    const kept = keys.find(key, nowMs);
    if (kept && kept.bodyHash !== bodyHash) return this.#refused(request, otherBody);
    if (kept && kept.answer !== null) return { outcome: JSON.parse(kept.answer) as Taken, repeated: true };
    const problem = keys.reserve(key, bodyHash, nowMs);
    if (problem !== null) return this.#refused(request, notKept(problem.message));
    const outcome = this.#carryOut(key, carryOut);
    const underWay = { bodyHash, outcome };
    this.#underWay.set(key, underWay);
    try {
      const settled = await outcome;
      if (settled.kind === "answered" && keys.finish(key, JSON.stringify(settled)) !== null)
        this.#holdUnsaved(key, underWay);
      return { outcome: settled, repeated: false };
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #carryOut(key: string, carryOut: (keep: (outcome: Taken) => void) => Promise<Taken>): Promise<Taken> {
    const { keys } = this.options;
    const outcome = await carryOut((kept) => keys.finishWithin(key, JSON.stringify(kept)));
    if (outcome.kind === "refused") keys.forget(key);
    return outcome;
  }

  #holdUnsaved(key: string, first: First): void {
    this.#unsaved.set(key, first);
    const oldest = this.#unsaved.keys().next();
    if (this.#unsaved.size > mostUnsaved && !oldest.done) this.#unsaved.delete(oldest.value);
  }

  async #duplicate(request: RouteRequest, bodyHash: string, first: First): Promise<TakenOnce> {
    const { clock, waitMs, mostWaiting = 256 } = this.options;
    if (first.bodyHash !== bodyHash) return this.#refused(request, otherBody);
    if (this.#waiting >= mostWaiting)
      return this.#refused(request, inUse(`${mostWaiting} duplicates wait already, the most there may be`));
    this.#waiting++;
    const late = Promise.withResolvers<null>();
    const timer = clock.after(waitMs, () => late.resolve(null));
    try {
      const outcome = await Promise.race([first.outcome, late.promise]);
      if (outcome !== null) return { outcome, repeated: true };
      return this.#refused(request, inUse(`it did not end within ${waitMs} ms`));
    } finally {
      timer.cancel();
      this.#waiting--;
    }
  }

  #refused(request: RouteRequest, told: Told): TakenOnce {
    const requestId = request.requestId ?? this.options.newRequestId();
    const { platform } = request;
    const outcome: Refused = { kind: "refused", requestId, platform, ...told, durationMs: 0, attempts: [] };
    return { outcome, repeated: false };
  }
}
