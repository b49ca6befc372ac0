/** One request to one plugin: a place, a running process, an answer; within one deadline. */

import type { Clock } from "../clock.ts";
import type { Json, PluginRequest } from "../sdk/plugin.ts";
import { isServing } from "./lifecycle.ts";
import type { Supervisor } from "./supervisor.ts";
import { type CallFailure, type CallOptions, type CallResult, failed } from "./transport.ts";

/** Waits for `work` at most `timeoutMs`; null when that passed or the signal aborted. */
async function within<Value>(
  work: Promise<Value>,
  clock: Clock,
  { timeoutMs, signal }: CallOptions,
): Promise<Value | null> {
  const over = Promise.withResolvers<null>();
  const timer = clock.after(timeoutMs, () => over.resolve(null));
  const onAbort = () => over.resolve(null);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Waits until it serves, starting it when it is lazy; null when it does. */
async function untilServing(
  supervisor: Supervisor,
  clock: Clock,
  options: CallOptions,
): Promise<CallFailure | null> {
  if (isServing(supervisor.state)) return null;
  if (supervisor.state !== "starting" && !supervisor.startsOnRequest)
    return failed("unavailable", `${supervisor.name} is ${supervisor.state}: ${supervisor.reason}`);
  const start = supervisor.start("first request", { automatic: true });
  const outcome = await within(start, clock, options);
  if (outcome?.ok) return null;
  if (outcome) return failed("unavailable", outcome.message);
  return options.signal?.aborted
    ? failed("cancelled", "the caller went away")
    : failed("timeout", `${supervisor.name} was not ready within ${Math.round(options.timeoutMs)} ms`);
}

/** Sends `request`; the deadline is the shorter of the caller's and the manifest's. Never rejects. */
export async function dispatchTo(
  supervisor: Supervisor,
  request: PluginRequest,
  options: CallOptions,
  clock: Clock,
): Promise<CallResult> {
  const { manifest, gate } = supervisor;
  if (manifest.runtime === "exec" && manifest.protocol === "none")
    return failed("unavailable", `${supervisor.name} takes no requests (protocol: none)`);
  const endMs = clock.monotonicMs() + Math.min(options.timeoutMs, manifest.limits.requestTimeoutMs);
  const left = (): CallOptions => ({ ...options, timeoutMs: Math.max(1, endMs - clock.monotonicMs()) });
  // What cannot be served is refused before it takes a place from what can.
  if (!isServing(supervisor.state) && supervisor.state !== "starting" && !supervisor.startsOnRequest)
    return failed("unavailable", `${supervisor.name} is ${supervisor.state}: ${supervisor.reason}`);
  const place = await gate.enter(left().timeoutMs, options.signal);
  if (!place.ok) return place;
  // A stream holds its place until it is done.
  let streaming = false;
  try {
    const refusal = await untilServing(supervisor, clock, left());
    if (refusal) return refusal;
    if (!supervisor.instance) return failed("unavailable", `${supervisor.name} is ${supervisor.state}`);
    const call = left();
    const params = { request, deadlineMs: Math.floor(call.timeoutMs) };
    const answer = await supervisor.instance.call("handle_request", params as unknown as Json, call);
    if (answer.ok && answer.stream) {
      streaming = true;
      void answer.stream.done.then(place.release);
    }
    return answer;
  } finally {
    if (!streaming) place.release();
  }
}
