/** What routing needs from the rest: a way to the plugins and their circuit breakers. */

import type { Json, PluginRequest } from "../sdk/plugin.ts";

/** "ready" also means: may be started for this request (a lazy plugin). Only a ready plugin is dispatched to. */
export type PluginState = "ready" | "starting" | "shed" | "stopped" | "disabled" | "blocked" | "failed";

/** The plugin that serves a platform. */
export interface Resolution {
  plugin: string;
  state: PluginState;
  /** Why it is in that state, for a person. */
  reason: string;
  /** The plugin's own limit for one request; the router's default where absent. */
  requestTimeoutMs?: number;
  /** When it is likely to be ready, where that is known. */
  retryAfterMs?: number;
}

/**
 * How a dispatch fails. plugin-error: its handler threw. crash: the process ended. bad-answer: what came is no answer.
 * overload: its concurrency and queue are full. too-large: the request does not fit in a message. cancelled: the
 * signal aborted. unavailable: it could not be reached. shed, stopped: it was ended on purpose while it worked.
 */
export type DispatchFailureKind =
  | "plugin-error"
  | "timeout"
  | "crash"
  | "bad-answer"
  | "unavailable"
  | "overload"
  | "too-large"
  | "cancelled"
  | "shed"
  | "stopped";

export interface DispatchFailure {
  ok: false;
  kind: DispatchFailureKind;
  message: string;
}

/** An answer in chunks, for one consumer. Iterating ends however the stream ends: `done` tells how. */
export interface AnswerStream extends AsyncIterable<Json> {
  /** Settles once, when the plugin is done with it: null when it ended well. Never rejects. */
  readonly done: Promise<DispatchFailure | null>;
  /** Ends it; harmless when it has ended. */
  cancel(): void;
}

/** With `stream` the answer comes in chunks, and `result` is null. */
export type DispatchAnswer = { ok: true; result: Json; stream?: AnswerStream } | DispatchFailure;

/** Which of several processes of a plugin: hash keeps the requests of one `key` on one process while that lives. */
export interface InstanceChoice {
  balance: "least-busy" | "power-of-two" | "round-robin" | "hash";
  key?: string;
}

export interface Dispatcher {
  /** Every platform that some plugin serves. */
  platforms(): readonly string[];
  /** Null: no plugin serves it. */
  resolve(platform: string): Resolution | null;
  /**
   * Sends one request. Should settle soon after `signal` aborts, and end a stream then; the router waits for neither.
   * `timeoutMs` is for the answer or its first chunk. Without `route` the least busy process is asked.
   */
  dispatch(
    plugin: string,
    request: PluginRequest,
    limits: { timeoutMs: number; signal: AbortSignal; route?: InstanceChoice },
  ): Promise<DispatchAnswer>;
}

/** The right to one call; exactly one of its methods is called, once. */
export interface CallPermit {
  success(): void;
  failure(kind: string): void;
  /** The call said nothing about the platform. */
  release(): void;
}

/** The circuit breakers, by platform. */
export interface BreakerGate {
  acquire(
    platform: string,
  ):
    | { permitted: true; permit: CallPermit }
    | { permitted: false; reason: string; retryAfterMs: number | null };
}
