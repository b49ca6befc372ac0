/** What a client asks and what becomes of it: exactly one outcome a request. */

import type { Json } from "../sdk/plugin.ts";
import type { DispatchFailureKind, PluginState } from "./dispatcher.ts";

export interface RouteRequest {
  platform: string;
  /** Default "message". */
  type?: string;
  payload: Json;
  /** Of the HTTP request, by names in lower case: those that a routing rule names. */
  headers?: Readonly<Record<string, string>>;
  /** Default: a new one. */
  requestId?: string;
  /** The client's own limit for everything, fallbacks and streams included; it may only shorten the plugin's. */
  deadlineMs?: number;
  /**
   * True: an answer in chunks is handed over as `stream`. Otherwise the chunks are collected into a list, of at most
   * `mostCollectedBytes`.
   */
  streams?: boolean;
  /** Sent twice, it does no more than sent once: it may be retried. A key says the same. */
  idempotent?: boolean;
  /** The client's name for the request, handed to the plugin. */
  idempotencyKey?: string;
  /** False: no other platform answers in its place. */
  fallbacks?: false;
  /** Asked just before a plugin is sent the request; a text is the reason why it may not be. */
  beforeSend?: () => string | null;
  /** Aborts when the client goes away. */
  signal?: AbortSignal;
}

/** Why one attempt brought no answer. */
export type AttemptFailure = DispatchFailureKind | Exclude<PluginState, "ready"> | "breaker-open";

/** One plugin that was tried, or passed over, in the order of trying. */
export interface Attempt {
  plugin: string;
  outcome: "answered" | AttemptFailure;
  durationMs: number;
  /** Why it failed. */
  error?: string;
}

/** An answer in chunks on its way to the client; whoever gets it iterates it to its end or cancels it. */
export interface RoutedStream extends AsyncIterable<Json> {
  /** Settles once, when the plugin is done with it, with what the observers are told: answered, or why not to the end. */
  readonly done: Promise<Outcome>;
  /** The client went away, or takes no more. */
  cancel(): void;
}

export interface Answered {
  kind: "answered";
  requestId: string;
  /** The one it was routed to: that of the rule, else the one the client named. */
  platform: string;
  /** The routing rule that decided; absent: none did. */
  rule?: string;
  /** The plugin that answered. */
  plugin: string;
  /** Null while it is streamed, and afterwards. */
  result: Json;
  /** Only in what `route` yields, never in what observers are told. */
  stream?: RoutedStream;
  /** The answer came in chunks. */
  streamed?: true;
  /** True: a fallback answered in place of the platform. */
  degraded: boolean;
  /** The platform it stands in for, when degraded. */
  fallbackFor?: string;
  /** Why that one did not answer, when degraded. */
  reason?: string;
  durationMs: number;
  attempts: Attempt[];
}

/** What stands in the way, for a client that wants to wait for it. */
export type BlockedBy = "memory" | "concurrency" | "circuit-breaker" | "plugin-state" | "router";

export interface Refused {
  kind: "refused";
  requestId: string;
  /** The one it was routed to: that of the rule, else the one the client named. */
  platform: string;
  /** The routing rule that decided; absent: none did. */
  rule?: string;
  /** The HTTP status that says it best. */
  status: number;
  /** Stable, for programs. */
  code: string;
  title: string;
  detail: string;
  retryAfterSeconds?: number;
  blockedBy?: BlockedBy;
  /** The platforms there are, when the one asked for is none of them. */
  known?: string[];
  /** The answer had begun to come in chunks when this happened: the client may have some of them. */
  streamed?: true;
  durationMs: number;
  attempts: Attempt[];
}

export type Outcome = Answered | Refused;

/** Told each outcome once, that of a stream when it has ended: for metrics, statistics, dead letters. */
export interface RouteObserver {
  routed(outcome: Outcome, request: RouteRequest): void;
}
