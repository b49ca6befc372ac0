/** What a client asks and what becomes of it: exactly one outcome a request. */

import type { Json } from "../sdk/plugin.ts";
import type { DispatchFailureKind, PluginState } from "./dispatcher.ts";

export interface RouteRequest {
  platform: string;
  /** Default "message". */
  type?: string;
  payload: Json;
  /** Default: a new one. */
  requestId?: string;
  /** The client's own limit for everything, fallbacks included; it may only shorten the plugin's. */
  deadlineMs?: number;
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
}

export interface Answered {
  kind: "answered";
  requestId: string;
  platform: string;
  /** The plugin that answered. */
  plugin: string;
  result: Json;
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
  platform: string;
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
  durationMs: number;
  attempts: Attempt[];
}

export type Outcome = Answered | Refused;

/** Told each outcome once: for metrics, statistics, dead letters. */
export interface RouteObserver {
  routed(outcome: Outcome, request: RouteRequest): void;
}
