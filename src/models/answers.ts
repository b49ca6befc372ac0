/** One answer: preflight, then what the engine says; the next smaller model when it fails before its first text. */

import type { TokenEstimate } from "./conversation.ts";
import type { GenerateRequest, Part } from "./engine.ts";
import { type EngineFailure, engineError } from "./failure.ts";
import { type AnswerRequest, fitted, leastTokens, messagesOf, wholeTokens } from "./fitting.ts";
import type { HeldModel, OpenAnswer } from "./held-model.ts";
import type { ManagerPorts, ModelAnswered, ModelPart, ModelRefusal } from "./manager-ports.ts";
import { type ModelAsk, type ModelPreflightAnswer, mostWaitMs } from "./preflight.ts";
import { requestProblem } from "./request.ts";
import type { Waiters } from "./waiters.ts";

export interface AnswerTerms {
  ports: ManagerPorts;
  models: readonly HeldModel[];
  waiters: Waiters;
  estimate: TokenEstimate;
  preflight(ask: ModelAsk, without: readonly string[]): ModelPreflightAnswer;
  /** Null: another change is under way. */
  load(model: string, needBytes: number): Promise<void> | null;
  /** An answer of the model has ended. */
  ended(model: HeldModel): void;
}

type End = Extract<Part, { kind: "end" }>;
/** In vain: it failed before its first text, or was cut before it. */
type Streamed = { done: true } | { done: false; failure: EngineFailure | null; cut: boolean };

/** Fewer tokens tell nothing of the speed. */
const leastTokensTimed = 8;
/** Failures that another model would have as well. */
const final = new Set(["bad-request", "aborted"]);

const noUsage = { promptTokens: null, completionTokens: null };

const endWith = (
  finishReason: End["finishReason"],
  failure: EngineFailure | null,
  refusal: ModelRefusal | null = null,
): ModelPart => ({ kind: "end", finishReason, usage: noUsage, failure, model: null, note: null, refusal });

export async function* answer(
  request: AnswerRequest,
  model: string | null,
  terms: AnswerTerms,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, void> {
  const problem = problemOf(request, terms.estimate);
  if (problem !== null) {
    yield endWith("error", engineError("bad-request", problem, "correct the request").failure);
    return;
  }
  const ask: ModelAsk = {
    model,
    contextTokens: leastTokens(request, terms.estimate),
    wholeTokens: wholeTokens(request, terms.estimate),
  };
  const without: string[] = [];
  let last: EngineFailure | null = null;
  // Each round leaves one model out, or comes after a cut: so many cuts of one request are enough.
  for (let round = 0; round < 2 * terms.models.length; round++) {
    const admitted = await admit(ask, without, terms, signal);
    if (admitted === null) {
      yield endWith("aborted", null);
      return;
    }
    if ("reason" in admitted) {
      yield endWith("error", last ?? refused(admitted), admitted);
      return;
    }
    const streamed = yield* stream(
      admitted.held,
      admitted.insteadOf ?? without[0] ?? null,
      request,
      terms,
      signal,
    );
    if (streamed.done) return;
    last = streamed.failure;
    if (!streamed.cut) without.push(admitted.held.name);
  }
  yield endWith(
    "error",
    last ?? engineError("overloaded", "cut for memory again and again", "try again later").failure,
  );
}

/** What no model could answer; a history that is merely long is cut. */
function problemOf(request: AnswerRequest, estimate: TokenEstimate): string | null {
  const bounded = fitted(request, Number.POSITIVE_INFINITY, estimate)?.request;
  return requestProblem(bounded ?? { ...request, maxTokens: request.maxTokens ?? 1 });
}

const refused = ({ reason, retryAfterMs }: ModelRefusal): EngineFailure =>
  engineError(
    "overloaded",
    reason,
    retryAfterMs === null ? "ask for less, or add a model that can" : "try again later",
    retryAfterMs === null ? {} : { retryAfterMs },
  ).failure;

/** The model that answers; why none does; null when the caller has gone. */
async function admit(
  ask: ModelAsk,
  without: readonly string[],
  { preflight, waiters, load, models, ports }: AnswerTerms,
  signal: AbortSignal,
): Promise<{ held: HeldModel; insteadOf: string | null } | ModelRefusal | null> {
  const untilMs = ports.clock.monotonicMs() + mostWaitMs;
  for (;;) {
    if (signal.aborted) return null;
    const answer = preflight(ask, without);
    if (answer.decision === "refuse") {
      const { kind, reason, retryAfterMs, blockedBy } = answer;
      return { kind, reason, retryAfterMs, blockedBy };
    }
    const leftMs = untilMs - ports.clock.monotonicMs();
    if (answer.decision !== "wait" && !(answer.decision === "proceed" && answer.load)) {
      const held = models.find(({ name }) => name === answer.model);
      if (!held) throw new Error(`no model ${answer.model}`);
      return { held, insteadOf: answer.decision === "smaller" ? answer.insteadOf : null };
    }
    const blockedBy = answer.decision === "wait" ? answer.blockedBy : [];
    if (leftMs <= 0) return busy(`waited for ${mostWaitMs} ms: ${answer.reason}`, blockedBy);
    if (waiters.full) return busy("too many requests wait for a model already", blockedBy);
    // The load goes on for whoever comes next when this caller goes.
    if (answer.decision === "proceed") void load(answer.model, answer.needBytes);
    await waiters.wait(leftMs, signal);
  }
}

const busy = (reason: string, blockedBy: ModelRefusal["blockedBy"]): ModelRefusal => ({
  kind: "busy",
  reason,
  retryAfterMs: mostWaitMs,
  blockedBy,
});

async function* stream(
  held: HeldModel,
  insteadOf: string | null,
  asked: AnswerRequest,
  { ports, ended, estimate }: AnswerTerms,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, Streamed> {
  const { engine, name } = held;
  if (!engine) return { done: false, failure: null, cut: true };
  const contextTokens = held.setting?.contextTokens ?? held.tier.contextTokens;
  const fit = fitted(asked, contextTokens, estimate);
  if (fit === null) return { done: false, failure: tooLong(contextTokens), cut: false };
  const { request, droppedTurns } = fit;
  const open: OpenAnswer = { cut: false };
  held.answers.add(open);
  const startMs = ports.clock.monotonicMs();
  let firstMs: number | null = null;
  let texts = 0;
  try {
    for await (const part of engine.generate(request, signal)) {
      if (part.kind === "text") {
        if (firstMs === null) {
          firstMs = ports.clock.monotonicMs();
          yield { kind: "model", model: name, insteadOf, ...(droppedTurns > 0 ? { droppedTurns } : {}) };
        }
        texts++;
        yield part;
        continue;
      }
      const { failure } = part;
      count(estimate, request, part.usage.promptTokens);
      const times = { startMs, firstMs, texts, endMs: ports.clock.monotonicMs() };
      ports.answered?.(toldOf(held, part, open.cut, times));
      if (open.cut && firstMs === null) return { done: false, failure, cut: true };
      if (!open.cut) note(held, part, times);
      if (part.finishReason === "error" && firstMs === null && !open.cut && !final.has(failure?.code ?? "")) {
        ports.log.warn("model.answer-failed", { model: name, ...failure });
        return { done: false, failure, cut: false };
      }
      yield {
        ...part,
        ...(open.cut ? cutEnd : {}),
        model: name,
        note: open.cut ? cutNote : null,
        refusal: null,
      };
    }
  } finally {
    held.answers.delete(open);
    held.idleSinceMs = ports.clock.monotonicMs();
    ended(held);
  }
  return { done: true };
}

const tooLong = (contextTokens: number): EngineFailure =>
  engineError(
    "bad-request",
    `the last turn is longer than the context of ${contextTokens} tokens`,
    "shorten it, or give the model more context",
  ).failure;

function count(estimate: TokenEstimate, request: GenerateRequest, promptTokens: number | null): void {
  if (promptTokens === null) return;
  const messages = messagesOf(request);
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  estimate.counted(characters, messages.length, promptTokens);
}

const cutEnd = { finishReason: "length", failure: null } as const;
const cutNote = "The answer was cut: memory ran out, and the model had to be unloaded.";

interface Times {
  startMs: number;
  firstMs: number | null;
  endMs: number;
  texts: number;
}

/** Tokens a second after the first text; null: too short to tell. */
function speedOf(end: End, { firstMs, endMs, texts }: Times): number | null {
  const tokens = end.usage.completionTokens ?? texts;
  return firstMs !== null && tokens >= leastTokensTimed && endMs > firstMs
    ? (tokens * 1_000) / (endMs - firstMs)
    : null;
}

const firstTextMsOf = ({ startMs, firstMs }: Times): number | null =>
  firstMs === null ? null : firstMs - startMs;

const toldOf = (held: HeldModel, end: End, cut: boolean, times: Times): ModelAnswered => ({
  model: held.name,
  finishReason: cut ? "length" : end.finishReason,
  failure: cut ? null : (end.failure?.code ?? null),
  cut,
  firstTextMs: firstTextMsOf(times),
  durationMs: times.endMs - times.startMs,
  tokensPerSecond: speedOf(end, times),
  usage: end.usage,
  heldBytes: held.heldBytes,
});

function note(held: HeldModel, end: End, times: Times): void {
  // Whoever goes away, or asks for too much at once, tells nothing of the model.
  if (
    end.finishReason === "aborted" ||
    final.has(end.failure?.code ?? "") ||
    end.failure?.code === "overloaded"
  )
    return;
  held.feedback.add({
    failed: end.finishReason === "error",
    firstTextMs: firstTextMsOf(times),
    tokensPerSecond: speedOf(end, times),
  });
}
