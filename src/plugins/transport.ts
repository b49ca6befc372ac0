/** The way to call a plugin's process, whatever runs there. */

import type { Json } from "../sdk/plugin.ts";

/**
 * How a call fails. timeout: no answer in time. plugin-error: it answered with an error. crashed: the process ended
 * meanwhile. stopped: it was ended on purpose meanwhile. overload: too much waits already. too-large: over the message
 * cap. protocol: what came is no answer. unavailable: there is nothing to call. cancelled: the caller's signal aborted.
 */
export type FailureKind =
  | "timeout"
  | "plugin-error"
  | "crashed"
  | "stopped"
  | "overload"
  | "too-large"
  | "protocol"
  | "unavailable"
  | "cancelled";

export interface CallFailure {
  ok: false;
  kind: FailureKind;
  /** One line for a person. */
  message: string;
  /** JSON-RPC error code, where the plugin gave one. */
  rpcCode?: number;
}

export type CallResult<Value = Json> = { ok: true; value: Value } | CallFailure;

export const failed = (kind: FailureKind, message: string): CallFailure => ({ ok: false, kind, message });

export interface CallOptions {
  timeoutMs: number;
  signal?: AbortSignal;
}

/** What a plugin wrote that nobody asked for; all counts since its start. */
export interface TransportCounters {
  /** Answers to calls that had timed out or were cancelled. */
  lateAnswers: number;
  /** Answers to nothing: ids never used, or answered before. */
  unknownAnswers: number;
  /** Lines or frames that are no message. */
  garbageMessages: number;
  /** Bytes thrown away: garbage, and whatever came too fast or too long. */
  droppedBytes: number;
}

/** Calls in flight at once; over that a call fails with overload. */
export const mostCallsInFlight = 10_000;

/** Largest message in either direction. */
export const largestMessageBytes = 2 ** 20;

export interface Transport {
  readonly inFlight: number;
  readonly counters: Readonly<TransportCounters>;
  /** Calls `method`; never rejects. */
  call(method: string, params: Json, options: CallOptions): Promise<CallResult>;
  /** Sends a message that wants no answer; false when so much waits already that it is refused. */
  notify(method: string, params: Json): boolean;
  /** Fails what is in flight with `kind` and every later call with it too. */
  close(kind: FailureKind, message: string): void;
}

/** A transport and the sockets it lives on. */
export interface OpenTransport {
  transport: Transport;
  /** Closes the sockets. */
  dispose(): void;
}

/** Something a plugin says without being asked. */
export type Notice = { method: string; params: Json };
