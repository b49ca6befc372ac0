/** One try at one plugin: its state, its platform's breaker, then the dispatch with a deadline. */

import type { Clock } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import type { Json, PluginRequest } from "../sdk/plugin.ts";
import type {
  BreakerGate,
  CallPermit,
  DispatchAnswer,
  Dispatcher,
  DispatchFailureKind,
  Resolution,
} from "./dispatcher.ts";
import type { AttemptFailure } from "./outcome.ts";

export interface AttemptPorts {
  clock: Clock;
  dispatcher: Dispatcher;
  breakers: BreakerGate;
}

export type AttemptResult =
  | { ok: true; result: Json }
  | { ok: false; failure: AttemptFailure; message: string; retryAfterMs?: number };

export interface AttemptLimits {
  timeoutMs: number;
  /** The plugin had the time it asks for, so a timeout is its own failure and not an impatient client's. */
  timeoutCounts: boolean;
  /** The client's. */
  signal: AbortSignal | undefined;
}

/** `platform` is the one whose breaker guards the plugin. Never rejects. */
export async function attempt(
  ports: AttemptPorts,
  target: { platform: string; resolution: Resolution },
  request: PluginRequest,
  limits: AttemptLimits,
): Promise<AttemptResult> {
  const { state, reason, plugin, retryAfterMs } = target.resolution;
  if (limits.signal?.aborted) return { ok: false, failure: "cancelled", message: "the client went away" };
  if (state !== "ready") {
    const message = `${plugin} is ${state}: ${reason}`;
    return { ok: false, failure: state, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  const answer = ports.breakers.acquire(target.platform);
  if (!answer.permitted) {
    const message = `the circuit breaker of ${target.platform} is open: ${answer.reason}`;
    const wait = answer.retryAfterMs === null ? {} : { retryAfterMs: answer.retryAfterMs };
    return { ok: false, failure: "breaker-open", message, ...wait };
  }
  const result = await dispatchOnce(ports, plugin, request, limits);
  report(answer.permit, result, limits.timeoutCounts);
  return result.ok ? result : { ok: false, failure: result.kind, message: result.message };
}

/** These say nothing about whether the plugin works. */
const neutral: ReadonlySet<DispatchFailureKind> = new Set([
  "overload",
  "cancelled",
  "too-large",
  "shed",
  "stopped",
]);

function report(permit: CallPermit, result: DispatchAnswer, timeoutCounts: boolean): void {
  if (result.ok) permit.success();
  else if (neutral.has(result.kind) || (result.kind === "timeout" && !timeoutCounts)) permit.release();
  else permit.failure(result.kind);
}

/** The dispatcher's answer, or "timeout" or "cancelled" at once when that comes first. */
function dispatchOnce(
  ports: AttemptPorts,
  plugin: string,
  request: PluginRequest,
  limits: AttemptLimits,
): Promise<DispatchAnswer> {
  const { timeoutMs, signal } = limits;
  return new Promise((resolve) => {
    const controller = new AbortController();
    // The first call decides; whatever the plugin brings after that has nobody waiting for it.
    const finish = (answer: DispatchAnswer) => {
      timer.cancel();
      signal?.removeEventListener("abort", clientLeft);
      resolve(answer);
    };
    const giveUp = (kind: "timeout" | "cancelled", message: string) => {
      finish({ ok: false, kind, message });
      controller.abort();
    };
    const clientLeft = () => giveUp("cancelled", "the client went away");
    const timer = ports.clock.after(timeoutMs, () =>
      giveUp("timeout", `${plugin} did not answer within ${formatDuration(timeoutMs)}`),
    );
    signal?.addEventListener("abort", clientLeft, { once: true });
    start(ports.dispatcher, plugin, request, { timeoutMs, signal: controller.signal }).then(finish);
  });
}

/** A dispatcher that throws is a plugin that cannot be reached. */
async function start(
  dispatcher: Dispatcher,
  plugin: string,
  request: PluginRequest,
  limits: { timeoutMs: number; signal: AbortSignal },
): Promise<DispatchAnswer> {
  try {
    const answer = await dispatcher.dispatch(plugin, request, limits);
    // Cancelled by nobody here: the other side gave up on it.
    if (!answer.ok && answer.kind === "cancelled" && !limits.signal.aborted)
      return { ...answer, kind: "unavailable" };
    return answer;
  } catch (error) {
    const message = `${plugin} cannot be reached: ${error instanceof Error ? error.message : String(error)}`;
    return { ok: false, kind: "unavailable", message };
  }
}
