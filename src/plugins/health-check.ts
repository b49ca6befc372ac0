/** Asks a plugin how it is, in the way its manifest says. */

import type { Clock } from "../clock.ts";
import type { HealthReport, Json } from "../sdk/plugin.ts";
import { type CheckSubject, checkByCommand } from "./health-command.ts";
import type { Instance } from "./instance.ts";
import type { HealthCheck } from "./manifest.ts";
import { type CallOptions, type CallResult, failed } from "./transport.ts";

const methodNotFound = -32_601;
const longestDetailChars = 500;

/** The plugin's own report, or why there is none: a failure of kind timeout, protocol, crashed, … Never rejects. */
export async function checkHealth(
  subject: CheckSubject,
  options: CallOptions,
): Promise<CallResult<HealthReport>> {
  const check = subject.instance.plan.manifest.health;
  if (check.kind === "none")
    return { ok: true, value: { status: "healthy", detail: "alive; has no health check" } };
  if (check.kind === "call") return callHealth(subject.instance, options);
  if (check.kind === "exec") return checkByCommand(check.command, subject, options);
  const probe = check.kind === "http" ? probeHttp : probeTcp;
  return withDeadline(check.kind, subject.clock, options, (signal) => probe(check, signal));
}

async function callHealth(instance: Instance, options: CallOptions): Promise<CallResult<HealthReport>> {
  const answer = await instance.call("health_check", {}, options);
  if (!answer.ok) {
    if (answer.rpcCode !== methodNotFound) return answer;
    return { ok: true, value: { status: "healthy", detail: "alive; has no health_check" } };
  }
  return parseReport(answer.value);
}

function parseReport(value: Json): CallResult<HealthReport> {
  const { status, detail } = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    Json
  >;
  const isStatus = status === "healthy" || status === "degraded" || status === "unhealthy";
  const isDetail = detail === undefined || detail === null || typeof detail === "string";
  if (!isStatus || !isDetail) {
    const shown = JSON.stringify(value).slice(0, 120);
    return failed(
      "protocol",
      `health_check answered ${shown}: expected {status: "healthy" | "degraded" | "unhealthy", detail?}`,
    );
  }
  const text = typeof detail === "string" ? { detail: detail.slice(0, longestDetailChars) } : {};
  return { ok: true, value: { status, ...text } };
}

/** Runs `probe` with a signal that aborts at the deadline or with the caller's. */
async function withDeadline(
  what: string,
  clock: Clock,
  { timeoutMs, signal }: CallOptions,
  probe: (signal: AbortSignal) => Promise<HealthReport>,
): Promise<CallResult<HealthReport>> {
  const deadline = new AbortController();
  const timer = clock.after(timeoutMs, () => deadline.abort(new Error("the deadline passed")));
  try {
    const either = signal ? AbortSignal.any([deadline.signal, signal]) : deadline.signal;
    return { ok: true, value: await probe(either) };
  } catch (error) {
    if (signal?.aborted) return failed("cancelled", "the caller went away");
    if (deadline.signal.aborted)
      return failed("timeout", `no ${what} answer within ${Math.round(timeoutMs)} ms`);
    return failed("unavailable", error instanceof Error ? error.message : String(error));
  } finally {
    timer.cancel();
  }
}

async function probeHttp(check: HealthCheck, signal: AbortSignal): Promise<HealthReport> {
  if (check.kind !== "http") throw new TypeError("no http check");
  const url = `http://127.0.0.1:${check.port}${check.path}`;
  const response = await fetch(url, { signal, redirect: "manual", headers: { connection: "close" } });
  await response.body?.cancel();
  const healthy = response.status >= 200 && response.status < 400;
  return {
    status: healthy ? "healthy" : "unhealthy",
    detail: `GET ${check.path} answered ${response.status}`,
  };
}

async function probeTcp(check: HealthCheck, signal: AbortSignal): Promise<HealthReport> {
  if (check.kind !== "tcp") throw new TypeError("no tcp check");
  const aborted = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
  );
  const handlers = { data: () => undefined };
  const connected = Bun.connect({ hostname: "127.0.0.1", port: check.port, socket: handlers });
  // Whenever it connects, in time or too late, it is closed.
  const closed = connected.then((socket) => void socket.terminate());
  await Promise.race([closed, aborted]);
  return { status: "healthy", detail: `port ${check.port} accepts connections` };
}
