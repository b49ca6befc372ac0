/**
 * How a plugin is: the worst of what its processes answer. One of several that does not answer, while others do, makes it
 * degraded and not failed, and after some times in a row is exchanged for another process.
 */

import { formatDuration } from "../config/units.ts";
import type { HealthReport } from "../sdk/plugin.ts";
import type { Instance } from "./instance.ts";
import { isServing } from "./lifecycle.ts";
import type { Member } from "./member.ts";
import type { Supervisor } from "./supervisor.ts";
import { type CallFailure, type CallOptions, type CallResult, failed } from "./transport.ts";

const severity = { healthy: 0, degraded: 1, unhealthy: 2 } as const;
/**
 * Of several processes each has this share of the time: whoever asked is told of the ones that answered before giving up
 * on all of them.
 */
const memberShare = 0.9;

type Answered = CallResult<HealthReport> & { ok: true };
interface Checked {
  member: Member;
  result: CallResult<HealthReport>;
}

/**
 * Asks each process that takes requests, and tells the supervisor what came of it. One that was taken out of service
 * meanwhile says nothing about the plugin: then those are asked that took over. Of several, one that failed `failures`
 * checks in a row is exchanged. One that has answered none for `recovery.hung` is given up. Never rejects.
 */
export async function checkMembers(
  supervisor: Supervisor,
  check: (instance: Instance, options: CallOptions) => Promise<CallResult<HealthReport>>,
  failures: number,
  options: CallOptions,
): Promise<CallResult<HealthReport>> {
  const { signal } = options;
  for (;;) {
    const asked = supervisor.members;
    if (asked.length === 0 || !isServing(supervisor.state))
      return failed("unavailable", `${supervisor.name} is ${supervisor.state}: ${supervisor.reason}`);
    const timeoutMs = options.timeoutMs * (asked.length > 1 ? memberShare : 1);
    const results = await Promise.all(
      asked.map(async (member) => ({
        member,
        result: await check(member.instance, { ...options, timeoutMs }),
      })),
    );
    for (const { member, result } of results) giveUpHung(supervisor, member, result, signal);
    const still = inService(supervisor, results);
    exchangeUnfit(supervisor, still, failures);
    const verdict = verdictOf(inService(supervisor, still));
    if (!verdict) {
      // All of them were replaced, or have ended.
      if (supervisor.members.length > 0 && !signal?.aborted) continue;
      return results[0]?.result ?? failed("unavailable", `${supervisor.name} is ${supervisor.state}`);
    }
    if (verdict.ok)
      supervisor.judge(verdict.value.status === "healthy", verdict.value.detail ?? verdict.value.status);
    else {
      const message = verdict.kind === "cancelled" ? whyOverdue(signal) : verdict.message;
      if (message !== null) supervisor.judge(false, `health check: ${message}`);
    }
    return verdict;
  }
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
  result: CallResult<HealthReport>,
  signal: AbortSignal | undefined,
): void {
  const hungMs = manifest.recovery.hung;
  const cancelled = !result.ok && result.kind === "cancelled";
  if (cancelled && whyOverdue(signal) === null) return;
  const answered = result.ok || (result.kind !== "timeout" && !cancelled);
  const silentMs = member.checked(answered, clock.monotonicMs());
  if (hungMs !== undefined && !answered && silentMs >= hungMs)
    member.instance.giveUp(`it answered no health check for ${formatDuration(silentMs)} (recovery.hung)`);
}

const inService = ({ members }: Supervisor, checked: readonly Checked[]): Checked[] =>
  checked.filter(({ member }) => members.includes(member));

/** Counts each process's failed checks, and takes those out that failed too often while another one answers. */
function exchangeUnfit(supervisor: Supervisor, checked: readonly Checked[], failures: number): void {
  const unfit: Member[] = [];
  let message = "";
  for (const { member, result } of checked) {
    if (result.ok) member.failedChecks = 0;
    else if (result.kind !== "cancelled" && ++member.failedChecks >= failures) {
      unfit.push(member);
      message = result.message;
    }
  }
  if (unfit.length > 0 && checked.some(({ result }) => result.ok))
    supervisor.exchange(unfit, `failed ${failures} health checks: ${message}`);
}

/** The worst report; where only some bring one, that some do not. Null when nobody was asked. */
function verdictOf(checked: readonly Checked[]): CallResult<HealthReport> | null {
  const answered: Answered[] = [];
  const silent: CallFailure[] = [];
  for (const { result } of checked) result.ok ? answered.push(result) : silent.push(result);
  const worst = answered.toSorted((a, b) => severity[b.value.status] - severity[a.value.status])[0];
  const [failure] = silent;
  if (!failure || !worst) return worst ?? failure ?? null;
  if (worst.value.status === "unhealthy") return worst;
  const detail = `${silent.length} of ${checked.length} processes: ${failure.message}`;
  return { ok: true, value: { status: "degraded", detail } };
}
