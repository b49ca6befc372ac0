/** How a plugin is: the worst of what its processes answer; degraded where only some of them answer. */

import { formatDuration } from "../config/units.ts";
import type { HealthReport } from "../sdk/plugin.ts";
import type { Instance } from "./instance.ts";
import { isServing } from "./lifecycle.ts";
import type { Member } from "./member.ts";
import type { Supervisor } from "./supervisor.ts";
import { type CallFailure, type CallOptions, type CallResult, failed } from "./transport.ts";

const severity = { healthy: 0, degraded: 1, unhealthy: 2 } as const;

/** Of the time for a check, where several processes are asked. */
const shareForSeveral = 0.9;

const severityOf = (result: CallResult<HealthReport>): number =>
  result.ok ? severity[result.value.status] : 3;

/**
 * Asks each process that takes requests, and tells the supervisor what came of it. One that was taken out of service
 * meanwhile says nothing about the plugin: then those are asked that took over. One that has answered none for
 * `recovery.hung` is given up. Never rejects.
 */
export async function checkMembers(
  supervisor: Supervisor,
  check: (instance: Instance, options: CallOptions) => Promise<CallResult<HealthReport>>,
  options: CallOptions,
): Promise<CallResult<HealthReport>> {
  const { signal } = options;
  for (;;) {
    const asked = supervisor.members;
    if (asked.length === 0 || !isServing(supervisor.state))
      return failed("unavailable", `${supervisor.name} is ${supervisor.state}: ${supervisor.reason}`);
    // Whoever asks gives up at the deadline: of several, those that answered have to be known before.
    const within =
      asked.length === 1 ? options : { ...options, timeoutMs: options.timeoutMs * shareForSeveral };
    const results = await Promise.all(asked.map(({ instance }) => check(instance, within)));
    const still = results.filter((_, index) => {
      const member = asked[index];
      return member !== undefined && supervisor.members.includes(member);
    });
    asked.forEach((member, index) => {
      giveUpHung(supervisor, member, results[index], signal);
    });
    const worst = still.toSorted((a, b) => severityOf(b) - severityOf(a))[0];
    if (!worst) {
      // All of them were replaced, or have ended.
      if (supervisor.members.length > 0 && !signal?.aborted) continue;
      return results[0] ?? failed("unavailable", `${supervisor.name} is ${supervisor.state}`);
    }
    if (worst.ok)
      supervisor.judge(worst.value.status === "healthy", worst.value.detail ?? worst.value.status);
    else {
      const message = worst.kind === "cancelled" ? whyOverdue(signal) : worst.message;
      if (message !== null) supervisor.judge(false, `health check: ${message}`);
    }
    return worst.ok ? worst : unlessOthersAnswer(worst, still);
  }
}

/** While some answer, requests have somewhere to go: that is degraded, and no failure of the plugin. */
function unlessOthersAnswer(
  failure: CallFailure,
  results: readonly CallResult<HealthReport>[],
): CallResult<HealthReport> {
  const failed = results.filter(({ ok }) => !ok).length;
  if (failed === results.length) return failure;
  const detail = `${failed} of ${results.length} processes: ${failure.message}`;
  return { ok: true, value: { status: "degraded", detail } };
}

/** Whoever asks keeps the time too, and may be the first to give up; null when the check was given up for something else. */
function whyOverdue(signal: AbortSignal | undefined): string | null {
  const reason: unknown = signal?.reason;
  return reason instanceof DOMException && reason.name === "TimeoutError" ? reason.message : null;
}

/** Hung is one whose check ran out of time, again and again; one that answers badly, or ended, is not. */
function giveUpHung(
  { manifest, gate: { clock } }: Supervisor,
  member: Member,
  result: CallResult<HealthReport> | undefined,
  signal: AbortSignal | undefined,
): void {
  if (!result) return;
  const hungMs = manifest.recovery.hung;
  const cancelled = !result.ok && result.kind === "cancelled";
  if (cancelled && whyOverdue(signal) === null) return;
  const answered = result.ok || (result.kind !== "timeout" && !cancelled);
  const silentMs = member.checked(answered, clock.monotonicMs());
  if (hungMs !== undefined && !answered && silentMs >= hungMs)
    member.instance.giveUp(`it answered no health check for ${formatDuration(silentMs)} (recovery.hung)`);
}
