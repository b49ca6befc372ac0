/** What the health monitor needs from the rest, and what it tells. */

import type { HealthReport } from "../sdk/plugin.ts";

export type HealthStatus = "healthy" | "degraded" | "unhealthy" | "failed" | "unknown" | "shed" | "stopped";

/** Why a plugin that is not expected to answer does not run. */
export type Standing = "starting" | "shed" | "stopped" | "disabled";

/** One plugin as its manager sees it. */
export interface ProbedPlugin {
  /** Unique. */
  name: string;
  /** The label it serves in requests and metrics. */
  platform: string;
  /** It should be running and answering. False: it is not checked, and that is no failure. */
  expected: boolean;
  /** Where `expected` is false; default "stopped". */
  standing?: Standing;
  /** Why it is not running, for a person. */
  reason?: string;
}

/** How a check fails: no answer in time, its process gone, not reached, an answer that is none, or it threw. */
export type CheckFailureKind = "timeout" | "exited" | "unreachable" | "bad-answer" | "error";

/** A check that brought no report. */
export interface CheckFailure {
  status: "failure";
  kind: CheckFailureKind;
  detail: string;
}

export type CheckAnswer = HealthReport | CheckFailure;

/** The way to the plugins. */
export interface Probe {
  /** Every known plugin, in a stable order. Called a few times a second; cheap. */
  plugins(): readonly ProbedPlugin[];
  /**
   * Asks one plugin once. Should settle soon after `signal` aborts; the monitor sends no second check to a
   * plugin before it does.
   */
  check(name: string, limits: { timeoutMs: number; signal: AbortSignal }): Promise<CheckAnswer>;
}

/** One finished check, or an exit. */
export interface HealthResult {
  plugin: string;
  platform: string;
  /** The plugin's status with this result counted in. */
  status: HealthStatus;
  /** Null when the plugin answered. */
  failure: CheckFailureKind | null;
  detail: string;
  /** Null when nothing was asked, as for an exit. */
  durationSeconds: number | null;
  consecutiveFailures: number;
  atMs: number;
}

/** Told each result, in the order they came: for metrics, breakers, recovery. */
export interface HealthObserver {
  checked(result: HealthResult): void;
}

/** One plugin's health as it is shown. Times are milliseconds since the epoch. */
export interface PlatformHealth {
  plugin: string;
  platform: string;
  status: HealthStatus;
  detail: string;
  /** When the last check ended; null before the first. */
  lastCheckMs: number | null;
  /** How long the last answer took; null when the last check brought none. */
  durationMs: number | null;
  consecutiveFailures: number;
  /** When `status` began. */
  sinceMs: number;
}
