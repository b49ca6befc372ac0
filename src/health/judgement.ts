/** From a check's answer to a status: pure. */

import { formatDuration } from "../config/units.ts";
import type { CheckAnswer, CheckFailureKind, HealthStatus, ProbedPlugin } from "./probe.ts";

export interface Judgement {
  status: HealthStatus;
  detail: string;
  failure: CheckFailureKind | null;
  consecutiveFailures: number;
}

export interface Limits {
  /** A slower answer is degraded. */
  slowMs: number;
  /** Failures in a row that mark a platform failed. */
  failures: number;
}

/**
 * What `answer`, after `durationMs`, makes of a plugin that was `before`. A plugin that answers "unhealthy" has
 * answered: that is its own word and shown as such, not a failed check. A failed platform stays so until it answers.
 */
export function judge(
  answer: CheckAnswer,
  durationMs: number,
  before: { status: HealthStatus; consecutiveFailures: number },
  limits: Limits,
): Judgement {
  if (answer.status === "failure") {
    const consecutiveFailures = before.consecutiveFailures + 1;
    const failed = before.status === "failed" || consecutiveFailures >= limits.failures;
    return {
      status: failed ? "failed" : "unhealthy",
      detail: answer.detail,
      failure: answer.kind,
      consecutiveFailures,
    };
  }
  const slow = answer.status === "healthy" && durationMs > limits.slowMs;
  const slowness = `answered in ${formatDuration(durationMs)}; slow is over ${formatDuration(limits.slowMs)}`;
  return {
    status: slow ? "degraded" : answer.status,
    detail: slow ? slowness : (answer.detail ?? ""),
    failure: null,
    consecutiveFailures: 0,
  };
}

/** What a plugin is that is not expected to answer. */
export function standingOf(plugin: ProbedPlugin): { status: HealthStatus; detail: string } {
  const standing = plugin.standing ?? "stopped";
  const status = standing === "shed" ? "shed" : standing === "starting" ? "unknown" : "stopped";
  return { status, detail: plugin.reason ?? standing };
}
