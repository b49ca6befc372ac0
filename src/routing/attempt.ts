/** One try at one plugin: its state, its platform's breaker, then the dispatch with a deadline, to the end of a stream. */

import type { Clock } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import type { Json, PluginRequest } from "../sdk/plugin.ts";
import type {
  AnswerStream,
  BreakerGate,
  CallPermit,
  DispatchAnswer,
  Dispatcher,
  DispatchFailure,
  DispatchFailureKind,
  InstanceChoice,
  Resolution,
} from "./dispatcher.ts";
import type { AttemptFailure, RouteRequest } from "./outcome.ts";

export interface AttemptPorts {
  clock: Clock;
  dispatcher: Dispatcher;
  breakers: BreakerGate;
}

/** The chunks of an answer; iterated once. */
export interface AttemptStream {
  chunks: AsyncIterable<Json>;
  /** Settles once: null when the stream ended well. Never rejects. */
  ended: Promise<DispatchFailure | null>;
  cancel(): void;
}

export type AttemptResult =
  | { ok: true; result: Json; stream?: AttemptStream }
  | { ok: false; failure: AttemptFailure; message: string; retryAfterMs?: number };

export interface AttemptLimits {
  timeoutMs: number;
  /** Monotonic; for all of a stream. Infinity: none. */
  deadlineAt: number;
  /** The plugin had the time it asks for, so a timeout is its own failure and not an impatient client's. */
  timeoutCounts: boolean;
  /** The client's. */
  signal: AbortSignal | undefined;
  /** Which of several processes of the plugin; absent: the least busy. */
  route?: InstanceChoice;
  beforeSend?: RouteRequest["beforeSend"];
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
  const withheld = limits.beforeSend?.() ?? null;
  if (withheld !== null) {
    answer.permit.release();
    return { ok: false, failure: "unavailable", message: withheld };
  }
  const controller = new AbortController();
  const result = await dispatchOnce(ports, plugin, request, limits, controller);
  if (result.ok && result.stream) {
    const stream = follow(ports.clock, result.stream, limits, controller);
    void stream.ended.then((failure) => report(answer.permit, failure, limits.timeoutCounts));
    return { ok: true, result: null, stream };
  }
  report(answer.permit, result.ok ? null : result, limits.timeoutCounts);
  if (result.ok) return { ok: true, result: result.result };
  return { ok: false, failure: result.kind, message: result.message };
}

/** These say nothing about whether the plugin works. */
const neutral: ReadonlySet<DispatchFailureKind> = new Set([
  "overload",
  "cancelled",
  "too-large",
  "shed",
  "stopped",
]);

function report(permit: CallPermit, failure: DispatchFailure | null, timeoutCounts: boolean): void {
  if (!failure) permit.success();
  else if (failure instanceof ClientDeadline || neutral.has(failure.kind)) permit.release();
  else if (failure.kind === "timeout" && !timeoutCounts) permit.release();
  else permit.failure(failure.kind);
}

/** The client's own time for the whole stream is over, which says nothing about the plugin. */
class ClientDeadline implements DispatchFailure {
  readonly ok = false;
  readonly kind = "timeout";
  readonly message = "the deadline passed before the stream had ended";
}

/** The stream, ended too when the client goes away or its deadline passes. */
function follow(
  clock: Clock,
  stream: AnswerStream,
  { signal, deadlineAt }: AttemptLimits,
  controller: AbortController,
): AttemptStream {
  const ended = Promise.withResolvers<DispatchFailure | null>();
  const settle = (failure: DispatchFailure | null) => {
    timer?.cancel();
    signal?.removeEventListener("abort", cancel);
    ended.resolve(failure);
  };
  const stop = (failure: DispatchFailure) => {
    settle(failure);
    stream.cancel();
    controller.abort();
  };
  const cancel = () => stop({ ok: false, kind: "cancelled", message: "the client went away" });
  const leftMs = deadlineAt - clock.monotonicMs();
  const timer = leftMs === Infinity ? null : clock.after(leftMs, () => stop(new ClientDeadline()));
  void stream.done.then(settle);
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel, { once: true });
  return { chunks: stream, ended: ended.promise, cancel };
}

/** The dispatcher's answer, or "timeout" or "cancelled" at once when that comes first. */
function dispatchOnce(
  ports: AttemptPorts,
  plugin: string,
  request: PluginRequest,
  limits: AttemptLimits,
  controller: AbortController,
): Promise<DispatchAnswer> {
  const { timeoutMs, signal, route } = limits;
  return new Promise((resolve) => {
    let decided = false;
    // The first call decides; whatever the plugin brings after that has nobody waiting for it.
    const finish = (answer: DispatchAnswer) => {
      if (decided && answer.ok) answer.stream?.cancel();
      decided = true;
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
    const terms = { timeoutMs, signal: controller.signal, ...(route ? { route } : {}) };
    start(ports.dispatcher, plugin, request, terms).then(finish);
  });
}

/** A dispatcher that throws is a plugin that cannot be reached. */
async function start(
  dispatcher: Dispatcher,
  plugin: string,
  request: PluginRequest,
  limits: Parameters<Dispatcher["dispatch"]>[2],
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
