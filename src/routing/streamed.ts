/** What an answer in chunks comes to when it has ended. */

import type { Json } from "../sdk/plugin.ts";
import type { AttemptStream } from "./attempt.ts";
import type { DispatchFailure, DispatchFailureKind } from "./dispatcher.ts";
import type { Answered, Attempt, Outcome } from "./outcome.ts";
import { answerTooLarge, refusalFor, type Told } from "./refusal.ts";

/** Bytes, as JSON, of an answer whose chunks are collected. */
export const mostCollectedBytes = 2 ** 20;

/** The outcome of `answered` when its stream ended `durationMs` after the request came; `failure` tells how, null: well. */
export function endOf(answered: Answered, failure: DispatchFailure | null, durationMs: number): Outcome {
  if (failure) return broken(answered, failure.kind, refusalFor(failure.kind, failure.message), durationMs);
  const attempts = withLast(answered.attempts, "answered", durationMs - answered.durationMs);
  return { ...answered, streamed: true, durationMs, attempts };
}

/** Takes all chunks into a list, which is the result; refused when the stream fails or is too large. */
export async function collect(
  answered: Answered,
  stream: AttemptStream,
  sinceStartMs: () => number,
): Promise<Outcome> {
  const result: Json[] = [];
  let bytes = 2;
  for await (const chunk of stream.chunks) {
    bytes += Buffer.byteLength(JSON.stringify(chunk)) + 1;
    if (bytes > mostCollectedBytes) break;
    result.push(chunk);
  }
  if (bytes > mostCollectedBytes) {
    stream.cancel();
    const told = answerTooLarge(answered.plugin, mostCollectedBytes);
    return broken(answered, "bad-answer", told, sinceStartMs());
  }
  const outcome = endOf(answered, await stream.ended, sinceStartMs());
  return outcome.kind === "answered" ? { ...outcome, result } : outcome;
}

function broken(answered: Answered, kind: DispatchFailureKind, told: Told, durationMs: number): Outcome {
  const { requestId, platform, rule } = answered;
  const attempts = withLast(answered.attempts, kind, durationMs - answered.durationMs);
  const ruled = rule === undefined ? {} : { rule };
  return { kind: "refused", requestId, platform, ...ruled, ...told, durationMs, attempts, streamed: true };
}

/** The attempts, the last one ended so and after `moreMs` more. */
function withLast(attempts: readonly Attempt[], outcome: Attempt["outcome"], moreMs: number): Attempt[] {
  return attempts.map((attempt, index) =>
    index < attempts.length - 1 ? attempt : { ...attempt, outcome, durationMs: attempt.durationMs + moreMs },
  );
}
