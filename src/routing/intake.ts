/** What a client asks for beyond an answer now: one answer for one key, and that what cannot be answered is kept. */

import type { Idempotency, Taken, TakenOnce } from "./idempotency.ts";
import type { RouteRequest } from "./outcome.ts";
import type { KeptWith, Parking } from "./parking.ts";
import type { Router } from "./router.ts";

/** What is done with a request that nobody can answer: it is kept, or the client hears of it. */
export type OnFailure = "park" | "refuse";

export interface IntakeRequest extends RouteRequest {
  /** Default: as configured for the platform. */
  onFailure?: OnFailure;
  /** Default: true when there is an idempotency key. */
  idempotent?: boolean;
  /** Kept with it when it is parked. */
  headers?: Readonly<Record<string, string>>;
}

export interface IntakeOptions {
  router: Pick<Router, "route">;
  parking: Parking;
  idempotency: Idempotency;
  onFailureOf: (platform: string) => OnFailure;
}

export class Intake {
  constructor(private readonly options: IntakeOptions) {}

  /** Never rejects but with a StorageError, when it cannot be read whether the key is known. */
  async take(request: IntakeRequest): Promise<TakenOnce> {
    const { idempotencyKey } = request;
    if (idempotencyKey === undefined) return { outcome: await this.#carryOut(request), repeated: false };
    // A client that went away will ask again with the same key, and an answer in chunks cannot be given twice.
    const { signal: _, ...lasting } = request;
    const whole: IntakeRequest = { ...lasting, streams: false };
    return this.options.idempotency.once(idempotencyKey, whole, (keep) => this.#carryOut(whole, keep));
  }

  async #carryOut(request: IntakeRequest, keep?: (outcome: Taken) => void): Promise<Taken> {
    const { router, parking, onFailureOf } = this.options;
    const outcome = await router.route(request);
    const onFailure = request.onFailure ?? onFailureOf(request.platform);
    if (outcome.kind !== "refused" || onFailure === "refuse") return outcome;
    const kept: KeptWith = {
      headers: request.headers ?? {},
      idempotent: request.idempotent ?? request.idempotencyKey !== undefined,
    };
    return parking.park(request, kept, outcome, keep);
  }
}
