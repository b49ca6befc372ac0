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

const unavailable = ({ name, state, reason }: Supervisor): CallFailure =>
  failed("unavailable", `${name} is ${state}: ${reason}`);

/** It serves, or will for this request. */
const willServe = ({ state, startsOnRequest }: Supervisor): boolean =>
  isServing(state) || state === "starting" || startsOnRequest;

/** Waits until it serves, starting it when it is lazy; null when it does. */
async function untilServing(
  supervisor: Supervisor,
  clock: Clock,
  options: CallOptions,
): Promise<CallFailure | null> {
  if (!willServe(supervisor)) return unavailable(supervisor);
  const outcome = await within(supervisor.untilServing(), clock, options);
  if (outcome?.ok) return null;
  if (outcome) return failed("unavailable", outcome.message);
  return options.signal?.aborted
    ? failed("cancelled", "the caller went away")
    : failed("timeout", `${supervisor.name} was not ready within ${Math.round(options.timeoutMs)} ms`);
}

/**
 * Sends `request` to the least busy process. The deadline is the shorter of the caller's and the manifest's; the time in
 * which the plugin starts counts only for the caller's. Never rejects.
 */
export async function dispatchTo(
  supervisor: Supervisor,
  request: PluginRequest,
  options: CallOptions,
  clock: Clock,
): Promise<CallResult> {
  const { manifest, gate } = supervisor;
  if (manifest.runtime === "exec" && manifest.protocol === "none")
    return failed("unavailable", `${supervisor.name} takes no requests (protocol: none)`);
  // What cannot be served is refused before it takes a place from what can.
  if (!willServe(supervisor)) return unavailable(supervisor);
  const callerEndMs = clock.monotonicMs() + options.timeoutMs;
  const ownEndMs = () => Math.min(callerEndMs, clock.monotonicMs() + supervisor.requestTimeoutMs);
  let endMs = isServing(supervisor.state) ? ownEndMs() : callerEndMs;
  const left = (): CallOptions => ({ ...options, timeoutMs: Math.max(1, endMs - clock.monotonicMs()) });
  const place = await gate.enter(left().timeoutMs, options.signal);
  if (!place.ok) return place;
  let streaming = false;
  try {
    if (!isServing(supervisor.state)) {
      endMs = callerEndMs;
      const refusal = await untilServing(supervisor, clock, left());
      if (refusal) return refusal;
      endMs = ownEndMs();
    }
    const member = supervisor.pick();
    if (!member) return unavailable(supervisor);
    const call = left();
    const params = { request, deadlineMs: Math.floor(call.timeoutMs) };
    const done = member.begin();
    const over = () => {
      done();
      place.release();
    };
    const answer = await member.instance.call("handle_request", params as unknown as Json, call);
    // A stream holds its place until it is done.
    streaming = answer.ok && answer.stream !== undefined;
    if (answer.ok && answer.stream) void answer.stream.done.then(over);
    else over();
    return answer;
  } finally {
    if (!streaming) place.release();
  }
}
