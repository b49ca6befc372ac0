/** The way to call a plugin's process, whatever runs there. */

import type { Json } from "../sdk/plugin.ts";
import type { InstanceChoice } from "./balance.ts";

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

/**
 * An answer in chunks, for one consumer. Iterating yields them in order and ends however the stream ends: `done` tells
 * how. Whoever takes no chunks holds the plugin up, so the stream must be iterated to its end or cancelled.
 */
export interface JsonStream extends AsyncIterable<Json> {
  /**
   * Settles once, when the plugin is done with it: null when it ended well. Chunks that came before can still be taken.
   */
  readonly done: Promise<CallFailure | null>;
  /** Ends it; the plugin is told. Harmless when it has ended. */
  cancel(): void;
}

/** With `stream` the answer comes in chunks, and `value` is null. */
export type CallResult<Value = Json> = { ok: true; value: Value; stream?: JsonStream } | CallFailure;

export const failed = (kind: FailureKind, message: string): CallFailure => ({ ok: false, kind, message });

/** Under which terms the answer may come in chunks. */
export interface StreamTerms {
  /** Longest silence between two chunks; it does not count while chunks wait to be taken. */
  idleMs: number;
  /** What is wrong with a chunk, as in "chunk 3 of the answer …"; null when nothing is. */
  refuse(chunk: Json): string | null;
}

export interface CallOptions {
  /** Until the answer or its first chunk. */
  timeoutMs: number;
  /** Cancels the call, and its stream until that is done. */
  signal?: AbortSignal;
  /** Absent: an answer in chunks fails with protocol. */
  stream?: StreamTerms;
  /** Which of several processes is asked; absent: the least busy. */
  route?: InstanceChoice;
}

/** What a plugin wrote that nobody asked for; all counts since its start. */
export interface TransportCounters {
  /** Answers to calls that had timed out or were cancelled, and chunks of them. */
  lateAnswers: number;
  /** Answers to nothing, and chunks of nothing: ids never used, or answered before. */
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
  /** Calls without an answer, and streams that are not done. */
  readonly inFlight: number;
  readonly counters: Readonly<TransportCounters>;
  /** Calls `method`; never rejects. */
  call(method: string, params: Json, options: CallOptions): Promise<CallResult>;
  /**
   * Sends a message that wants no answer; false when so much waits already that it is refused: `mostQueuedBytes` with it,
   * or what the transport itself takes.
   */
  notify(method: string, params: Json, mostQueuedBytes?: number): boolean;
  /** Fails what is in flight with `kind` and every later call with it too. */
  close(kind: FailureKind, message: string): void;
}

/** Told that one of a transport's sockets is closed, and which, as in "its stdout". */
export type Closed = (which: string) => void;

/** A transport and the sockets it lives on. */
export interface OpenTransport {
  transport: Transport;
  /** Takes in what has come and was not read yet, at most 1 MiB; waits for nothing. */
  readRest(): void;
  /** Closes the sockets. */
  dispose(): void;
}

/** Something a plugin says without being asked. */
export type Notice = { method: string; params: Json };
