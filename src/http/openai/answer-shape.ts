/** An answer in OpenAI's shape: whole, or as the data of its events. */

import type { FinishReason, Usage } from "../../models/engine.ts";
import type { OpenaiAsk } from "./request-shape.ts";

/** What conductor tells beside OpenAI's own fields, as `conductor` in the whole answer, and in the last chunk of a stream. */
export interface ConductorNote {
  model: string;
  /** Not what the best model with the whole history would have said. */
  degraded: boolean;
  /** The model that was asked for, or is better, and did not answer; null: none. */
  insteadOf: string | null;
  /** Turns of the conversation that the model did not see: its context is too short. */
  droppedTurns: number;
  /** For the user, such as that the answer was cut; null: nothing. */
  note: string | null;
}

export interface AnswerFrame {
  kind: OpenaiAsk["kind"];
  id: string;
  /** Seconds since the epoch. */
  created: number;
  model: string;
}

export const usageOf = ({ promptTokens, completionTokens }: Usage) =>
  promptTokens === null || completionTokens === null
    ? null
    : {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
      };

type Finish = Extract<FinishReason, "stop" | "length">;

/** The whole answer; without `usage` where the engine did not count. */
export function wholeAnswer(
  { kind, id, created, model }: AnswerFrame,
  text: string,
  finish: Finish,
  usage: Usage,
  conductor: ConductorNote,
) {
  const counted = usageOf(usage);
  const choice =
    kind === "chat" ? { message: { role: "assistant", content: text, refusal: null } } : { text };
  return {
    id,
    object: kind === "chat" ? "chat.completion" : "text_completion",
    created,
    model,
    choices: [{ index: 0, ...choice, logprobs: null, finish_reason: finish }],
    ...(counted ? { usage: counted } : {}),
    conductor,
  };
}

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;

/** Stands nowhere else in a chunk: names of models and ids have no such character. */
const placeholder = "\u0000";

/** The events of one answer. */
export class AnswerEvents {
  readonly #frame: AnswerFrame;
  readonly #includeUsage: boolean;
  /** A chunk up to its text, and what follows it: they are the same for each token. */
  readonly #before: string;
  readonly #after: string;

  constructor(frame: AnswerFrame, includeUsage: boolean) {
    this.#frame = frame;
    this.#includeUsage = includeUsage;
    const [before = "", after = ""] = event(this.#chunk(placeholder, null)).split(
      JSON.stringify(placeholder),
    );
    this.#before = before;
    this.#after = after;
  }

  #chunk(text: string | null, finish: Finish | null, role = false) {
    const { kind, id, created, model } = this.#frame;
    const delta = { ...(role ? { role: "assistant" } : {}), ...(text === null ? {} : { content: text }) };
    return {
      id,
      object: kind === "chat" ? "chat.completion.chunk" : "text_completion",
      created,
      model,
      choices: [
        {
          index: 0,
          ...(kind === "chat" ? { delta } : { text: text ?? "" }),
          logprobs: null,
          finish_reason: finish,
        },
      ],
      ...(this.#includeUsage ? { usage: null } : {}),
    };
  }

  /** Before any text; of a completion nothing. */
  begin(): string {
    return this.#frame.kind === "chat" ? event(this.#chunk("", null, true)) : "";
  }

  text(text: string): string {
    return this.#before + JSON.stringify(text) + this.#after;
  }

  end(finish: Finish, usage: Usage, conductor: ConductorNote): string {
    const last = event({ ...this.#chunk(null, finish), conductor });
    const { kind: _, ...frame } = this.#frame;
    const object = this.#frame.kind === "chat" ? "chat.completion.chunk" : "text_completion";
    const counted = this.#includeUsage ? event({ ...frame, object, choices: [], usage: usageOf(usage) }) : "";
    return `${last}${counted}data: [DONE]\n\n`;
  }

  /** The stream is over without `[DONE]`: the answer failed. */
  error(error: object): string {
    return event({ error });
  }
}
