/** A dead letter as it is handed in, as it lies in its row, and as it is read again. */

import type { Json } from "../sdk/plugin.ts";
import { asJsonText } from "./decision-row.ts";

/** How far a dead letter is; the picture stands in dead-letters.ts. */
export const deadLetterStates = [
  "waiting",
  "redriving",
  "answered",
  "poison",
  "discarded",
  "expired",
] as const;
export type DeadLetterState = (typeof deadLetterStates)[number];

/** Why the request was not answered. */
export const deadLetterKinds = [
  "shed",
  "failed",
  "timeout",
  "crash",
  "breaker-open",
  "plugin-error",
  "bad-answer",
  "unavailable",
  "overload",
  "starting",
  "stopped",
  "disabled",
] as const;
export type DeadLetterKind = (typeof deadLetterKinds)[number];

/** One try to answer it, before it was parked or as a redrive. */
export interface DeadLetterAttempt {
  atMs: number;
  plugin: string;
  /** "answered", or how it failed. */
  outcome: string;
  /** Null when it was answered. */
  error: string | null;
  durationMs: number;
}

/** The request, and why it is parked. */
export interface DeadLetterDraft {
  requestId: string;
  platform: string;
  type: string;
  payload: Json;
  /** Those that are worth keeping; never one that authorises. */
  headers: Readonly<Record<string, string>>;
  idempotencyKey: string | null;
  /** Carrying it out twice does no harm. */
  idempotent: boolean;
  kind: DeadLetterKind;
  reason: string;
  attempts: readonly DeadLetterAttempt[];
  atMs: number;
  /** Not redriven before. */
  nextAtMs: number;
  /** Not redriven from then on. */
  expiresAtMs: number;
}

/** A row without what may be large. */
export interface DeadLetterSummaryRow {
  id: number;
  requestId: string;
  platform: string;
  type: string;
  kind: DeadLetterKind;
  reason: string;
  idempotencyKey: string | null;
  idempotent: number;
  parkedAtMs: number;
  expiresAtMs: number;
  nextAtMs: number;
  state: DeadLetterState;
  stateReason: string;
  /** 1: it waits for a person. */
  held: number;
  redrives: number;
  /** 1: its redrive has reached the plugin. */
  sent: number;
  closedAtMs: number | null;
  bytes: number;
}

export interface DeadLetterRow extends DeadLetterSummaryRow {
  payload: string;
  headers: string;
  attempts: string;
  attemptsLeftOut: number;
  result: string | null;
}

export type DeadLetterSummary = Omit<DeadLetterSummaryRow, "idempotent" | "held" | "sent"> & {
  idempotent: boolean;
  held: boolean;
  sent: boolean;
};

/** A dead letter with everything that is kept of it. */
export type DeadLetter = DeadLetterSummary & {
  payload: Json;
  headers: Record<string, string>;
  /** The newest 40, oldest first. */
  attempts: DeadLetterAttempt[];
  attemptsLeftOut: number;
  /** What the plugin answered to a redrive; over 64 Ki characters only how long it was. */
  result: Json;
};

export const summaryColumns = `id, request_id AS requestId, platform, type, kind, reason,
  idempotency_key AS idempotencyKey, idempotent, parked_at_ms AS parkedAtMs, expires_at_ms AS expiresAtMs,
  next_at_ms AS nextAtMs, state, state_reason AS stateReason, held, redrives, sent, closed_at_ms AS closedAtMs, bytes`;
export const allColumns = `${summaryColumns}, payload, headers, attempts, attempts_left_out AS attemptsLeftOut, result`;

/** Attempts kept of one letter. */
export const mostAttempts = 40;
const mostErrorCharacters = 1_000;
const mostReasonCharacters = 2_000;
/** What the columns of fixed size and the indexes of one row take, about. */
const rowBytes = 400;

/** A text of somebody else, bounded, and never half a character. */
export const boundedText = (text: string, most = mostReasonCharacters): string =>
  text.slice(0, most).toWellFormed();

export const boundedAttempt = (attempt: DeadLetterAttempt): DeadLetterAttempt => ({
  ...attempt,
  error: attempt.error === null ? null : boundedText(attempt.error, mostErrorCharacters),
});

/** The newest attempts as text, and how many more there were. */
export function attemptsText(attempts: readonly DeadLetterAttempt[]): { text: string; leftOut: number } {
  const kept = attempts.slice(-mostAttempts).map(boundedAttempt);
  return { text: JSON.stringify(kept), leftOut: attempts.length - kept.length };
}

/** What a letter of these texts counts towards the bound in bytes. */
export const bytesOf = (...texts: readonly (string | null)[]): number =>
  texts.reduce((sum, text) => sum + (text === null ? 0 : Buffer.byteLength(text)), rowBytes);

/** A result as it is kept. */
export const resultText = (result: Json): string => asJsonText(result);

export const summaryOf = (row: DeadLetterSummaryRow): DeadLetterSummary => ({
  ...row,
  idempotent: row.idempotent === 1,
  held: row.held === 1,
  sent: row.sent === 1,
});

/** The letter of a row. Throws SyntaxError when the row was changed by another program. */
export function letterOf(row: DeadLetterRow): DeadLetter {
  return {
    ...summaryOf(row),
    payload: JSON.parse(row.payload) as Json,
    headers: JSON.parse(row.headers) as Record<string, string>,
    attempts: JSON.parse(row.attempts) as DeadLetterAttempt[],
    attemptsLeftOut: row.attemptsLeftOut,
    result: row.result === null ? null : (JSON.parse(row.result) as Json),
  };
}
