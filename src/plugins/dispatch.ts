/** One request to one plugin: a place, a running process, an answer; within one deadline. */

import type { Clock } from "../clock.ts";
import type { Json, PluginRequest } from "../sdk/plugin.ts";
import { isServing } from "./lifecycle.ts";
import type { Member } from "./member.ts";
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
 * The process for the request, once that has room for one more; the request is counted there until `done` is called. The
 * plugin has room: it has let the request in. The least busy process then has too, but a conversation waits for its own.
 */
async function takenMember(
  supervisor: Supervisor,
  clock: Clock,
  left: () => CallOptions,
): Promise<{ ok: true; member: Member; done: () => void } | CallFailure> {
  for (;;) {
    const options = left();
    const member = supervisor.pick(options.route);
    if (!member) return unavailable(supervisor);
    // At once, before anyone else chooses.
    if (member.hasRoom) return { ok: true, member, done: member.begin() };
    const ended = Promise.withResolvers<true>();
    const forget = member.onEnd(() => ended.resolve(true));
    const room = await within(ended.promise, clock, options).finally(forget);
    if (room) continue;
    return options.signal?.aborted
      ? failed("cancelled", "the caller went away")
      : failed("timeout", `waited ${Math.round(options.timeoutMs)} ms for its process of ${supervisor.name}`);
  }
}

/**
 * Sends `request` to the process that `options.route` chooses, the least busy by default. The deadline is the shorter of
 * the caller's and the manifest's; the time in which the plugin starts counts only for the caller's. Never rejects.
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
    const chosen = await takenMember(supervisor, clock, left);
    if (!chosen.ok) return chosen;
    const { member, done } = chosen;
    const call = left();
    const params = { request, deadlineMs: Math.floor(call.timeoutMs) };
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
