/**
 * What becomes of a request that nobody could answer and whose client asked for it to be kept.
 *
 *   refused, for a reason that may pass, nothing of the answer sent ──▶ parked as a dead letter: 202
 *   refused for its own fault, or by the router, or after it began   ──▶ refused
 *   the database cannot take it                                      ──▶ refused, and the refusal says so
 */

import type { Clock } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { DeadLetterAttempt, DeadLetterKind } from "../storage/dead-letter-row.ts";
import type { DeadLetters } from "../storage/dead-letters.ts";
import type { Attempt, Refused, RouteRequest } from "./outcome.ts";

/** A request that is kept, to be answered later. */
export interface Parked {
  kind: "parked";
  requestId: string;
  platform: string;
  deadLetterId: number;
  letterKind: DeadLetterKind;
  /** Why it was not answered. */
  reason: string;
  expiresAtMs: number;
  /** False: it ends with the process, since the state is in memory. */
  durable: boolean;
  attempts: Attempt[];
}

/** What of a request is kept beside what is routed. */
export interface KeptWith {
  headers: Readonly<Record<string, string>>;
  /** Carrying it out twice does no harm. */
  idempotent: boolean;
}

/** By the code of the refusal; what is not here is never parked. */
const kinds: Readonly<Record<string, DeadLetterKind>> = {
  "plugin-shed": "shed",
  "plugin-failed": "failed",
  "plugin-timeout": "timeout",
  "plugin-crashed": "crash",
  "breaker-open": "breaker-open",
  "plugin-error": "plugin-error",
  "plugin-bad-answer": "bad-answer",
  "plugin-unavailable": "unavailable",
  "plugin-overloaded": "overload",
  "plugin-starting": "starting",
  "plugin-stopped": "stopped",
  "plugin-disabled": "disabled",
};

/** The plugin was not there: it is redriven as soon as it is. After the others some time has to pass. */
const absent: ReadonlySet<DeadLetterKind> = new Set(["shed", "failed", "starting", "stopped", "disabled"]);

/** As which kind a refusal is parked; null: it is not. */
export function parkedAs({ code, streamed }: Pick<Refused, "code" | "streamed">): DeadLetterKind | null {
  if (streamed) return null;
  return Object.hasOwn(kinds, code) ? (kinds[code] ?? null) : null;
}

/** The attempts with the time at which each began, from the time at which the last one ended. */
export function timedAttempts(attempts: readonly Attempt[], endedAtMs: number): DeadLetterAttempt[] {
  let atMs = endedAtMs;
  return attempts
    .toReversed()
    .map(({ plugin, outcome, durationMs, error }) => {
      atMs -= durationMs;
      return { atMs: Math.round(atMs), plugin, outcome, error: error ?? null, durationMs };
    })
    .reverse();
}

export interface ParkingOptions {
  clock: Clock;
  publisher: Publisher;
  letters: Pick<DeadLetters, "park" | "durable">;
  ttlMs: number;
  /** Until a letter whose plugin was there is sent for the first time. */
  firstDelayMs: number;
}

export class Parking {
  constructor(private readonly options: ParkingOptions) {}

  /** The request parked, or the refusal, which says why it could not be. `alongside` as in `DeadLetters.park`. */
  park(
    request: RouteRequest,
    kept: KeptWith,
    refused: Refused,
    alongside?: (parked: Parked) => void,
  ): Parked | Refused {
    const letterKind = parkedAs(refused);
    if (letterKind === null) return refused;
    const { clock, letters, publisher, ttlMs, firstDelayMs } = this.options;
    const atMs = clock.nowMs();
    const expiresAtMs = Math.trunc(atMs + ttlMs);
    const { requestId, platform, detail: reason, attempts } = refused;
    const parkedWith = (deadLetterId: number): Parked => {
      const { durable } = letters;
      return {
        kind: "parked",
        requestId,
        platform,
        deadLetterId,
        letterKind,
        reason,
        expiresAtMs,
        durable,
        attempts,
      };
    };
    const { id, problem } = letters.park(
      {
        requestId,
        platform,
        type: request.type ?? "message",
        payload: request.payload,
        headers: kept.headers,
        idempotencyKey: request.idempotencyKey ?? null,
        idempotent: kept.idempotent,
        kind: letterKind,
        reason,
        attempts: timedAttempts(attempts, atMs),
        atMs,
        nextAtMs: absent.has(letterKind) ? atMs : atMs + firstDelayMs,
        expiresAtMs,
      },
      (letterId) => alongside?.(parkedWith(letterId)),
    );
    if (id === null)
      return { ...refused, detail: `${reason}; it could not be kept either: ${problem.message}` };
    publisher.publish("deadletter.parked", { deadLetterId: id, platform, kind: letterKind });
    return parkedWith(id);
  }
}
