/**
 * One answer of the local models as a response. Nothing is written before it is known who answers: then the headers tell it,
 * also of a stream. The next part is taken from the engine when the connection has taken the last one; a client that goes away
 * stops the generation.
 */

import type { Context } from "hono";
import type { Clock } from "../../clock.ts";
import { anyModel } from "../../config/models-schema.ts";
import type { Log } from "../../log.ts";
import type { ModelPart } from "../../models/manager-ports.ts";
import type { ModelServing } from "../../models/serving.ts";
import { type Problem, problem, problemDocument } from "../problem.ts";
import { type BodySource, limitConnection, pulledBody } from "../pulled-body.ts";
import { AnswerEvents, type AnswerFrame, type ConductorNote, wholeAnswer } from "./answer-shape.ts";
import { openaiError } from "./errors.ts";
import { conversationHeader, KeptTurn } from "./kept-turn.ts";
import { failureProblem, refusalProblem } from "./refusal.ts";
import type { OpenaiAsk } from "./request-shape.ts";

type End = Extract<ModelPart, { kind: "end" }>;

/** Seconds that the connection has for the rest of a whole answer, once it is there. */
const writeSeconds = 30;

interface AnswerPorts {
  clock: Clock;
  log: Log;
  serving: ModelServing;
}

/** `conversationId` null: nothing is kept. */
export async function answerAsk(
  context: Context,
  { clock, log, serving }: AnswerPorts,
  ask: OpenaiAsk,
  conversationId: string | null,
): Promise<Response> {
  const { input } = ask.request;
  const turn =
    conversationId !== null && "messages" in input
      ? new KeptTurn(serving.conversations, log, conversationId, input.messages)
      : null;
  const request = turn ? { ...ask.request, input: { messages: turn.messages } } : ask.request;
  const gone = new AbortController();
  const { signal } = context.req.raw;
  signal.addEventListener("abort", () => gone.abort(), { once: true });
  if (signal.aborted) gone.abort();
  // A model may have to be loaded first, and has time limits of its own.
  limitConnection(context, 0);
  const parts = serving.manager.generate(request, gone.signal, ask.model)[Symbol.asyncIterator]();
  const first = await nextOf(parts);
  if (first.kind === "text") throw new Error("an answer that does not begin with who gives it");
  if (first.kind === "end" && !isWhole(first)) {
    limitConnection(context, writeSeconds);
    return problem(context, noAnswer(first, serving, ask));
  }
  const who = whoAnswers(first, serving, ask.model);
  context.header("X-Conductor-Model", who.model);
  context.header("X-Conductor-Degraded", String(who.degraded));
  if (who.insteadOf !== null) context.header("X-Conductor-Instead-Of", who.insteadOf);
  if (conversationId !== null) context.header(conversationHeader, conversationId);
  const frame: AnswerFrame = {
    kind: ask.kind,
    id: `${ask.kind === "chat" ? "chatcmpl" : "cmpl"}-${crypto.randomUUID()}`,
    created: Math.floor(clock.nowMs() / 1_000),
    model: who.model,
  };
  const begun: Begun = { parts, early: first.kind === "end" ? first : null, who, frame, turn };
  if (!ask.stream) return whole(context, begun, paramOf(ask));
  const events = new AnswerEvents(frame, ask.includeUsage);
  const source = new EventSource(begun, events, gone, (failed) =>
    openaiError(problemDocument(context, failed)),
  );
  return context.body(pulledBody(context, clock, events.begin(), source), 200, {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    // Else nginx would hold the chunks back.
    "X-Accel-Buffering": "no",
  });
}

/** The next part. With the end the iteration is left: the place that the answer had is free before the client hears of it. */
async function nextOf(parts: AsyncIterator<ModelPart>): Promise<ModelPart> {
  const step = await parts.next();
  if (step.done) throw new Error("an answer without an end");
  if (step.value.kind === "end") await parts.return?.();
  return step.value;
}

interface Begun {
  parts: AsyncIterator<ModelPart>;
  /** It ended without any text. */
  early: End | null;
  who: Omit<ConductorNote, "note">;
  frame: AnswerFrame;
  turn: KeptTurn | null;
}

type WholeEnd = End & { finishReason: "stop" | "length" };

const isWhole = (end: End): end is WholeEnd => end.finishReason === "stop" || end.finishReason === "length";

const paramOf = ({ kind }: OpenaiAsk): string => (kind === "chat" ? "messages" : "prompt");

const noAnswer = ({ failure, refusal }: End, { manager }: ModelServing, ask: OpenaiAsk): Problem =>
  refusalProblem(failure, refusal, [anyModel, ...manager.facts().map(({ name }) => name)], paramOf(ask));

/** Degraded: another model than was asked for, or than the best (or pinned) one; or not with the whole history. */
function whoAnswers(
  first: Exclude<ModelPart, { kind: "text" }>,
  { manager }: ModelServing,
  asked: string | null,
): Omit<ConductorNote, "note"> {
  const facts = manager.facts();
  const best = asked ?? (facts.find(({ pinned }) => pinned) ?? facts[0])?.name ?? null;
  const model = first.model ?? best ?? "";
  const told = first.kind === "model" ? first.insteadOf : null;
  const insteadOf = told ?? (best !== null && best !== model ? best : null);
  const droppedTurns = first.kind === "model" ? (first.droppedTurns ?? 0) : 0;
  return { model, degraded: insteadOf !== null || droppedTurns > 0, insteadOf, droppedTurns };
}

/** The parts up to the end, taken at once: its tokens bound it. */
async function whole(context: Context, { parts, early, who, frame, turn }: Begun, param: string) {
  let text = "";
  let end = early;
  while (end === null) {
    const part = await nextOf(parts);
    if (part.kind === "end") end = part;
    else if (part.kind === "text") {
      text += part.text;
      turn?.said(part.text);
    }
  }
  limitConnection(context, writeSeconds);
  if (!isWhole(end)) return problem(context, failureProblem(end.failure, end.refusal, param));
  turn?.ended();
  return context.json(wholeAnswer(frame, text, end.finishReason, end.usage, { ...who, note: end.note }));
}

/** The events of a streamed answer. */
class EventSource implements BodySource {
  readonly #begun: Begun;
  readonly #events: AnswerEvents;
  readonly #gone: AbortController;
  readonly #errorOf: (problem: Problem) => object;
  #ended = false;

  constructor(
    begun: Begun,
    events: AnswerEvents,
    gone: AbortController,
    errorOf: (problem: Problem) => object,
  ) {
    this.#begun = begun;
    this.#events = events;
    this.#gone = gone;
    this.#errorOf = errorOf;
  }

  async next(): Promise<Uint8Array | null> {
    if (this.#ended) return null;
    const { parts, early, turn } = this.#begun;
    const part = early ?? (await nextOf(parts));
    if (part.kind === "text") {
      turn?.said(part.text);
      return Buffer.from(this.#events.text(part.text));
    }
    if (part.kind !== "end") throw new Error("an answer that names twice who gives it");
    this.#ended = true;
    return Buffer.from(this.#end(part));
  }

  #end(end: End): string {
    if (!isWhole(end)) return this.#events.error(this.#errorOf(failureProblem(end.failure, null, "stream")));
    this.#begun.turn?.ended();
    return this.#events.end(end.finishReason, end.usage, { ...this.#begun.who, note: end.note });
  }

  /** The engine hears of it; and the iteration is left, in case that nobody takes its next part. */
  cancel(): void {
    this.#gone.abort();
    void this.#begun.parts.return?.();
  }
}
