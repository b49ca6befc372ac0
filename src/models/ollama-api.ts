/** ollama's own API, as far as it is used: https://github.com/ollama/ollama/blob/main/docs/api.md */

import type { Piece } from "./driver.ts";
import type { GenerateRequest } from "./engine.ts";
import { engineError, quoted } from "./failure.ts";
import { isRecord, jsonObject } from "./http-call.ts";

/** What a model in memory takes, from `/api/ps`. */
export interface OllamaHeld {
  /** Bytes in all. */
  sizeBytes: number;
  /** Of these, bytes in the memory of a graphics card. */
  vramBytes: number;
}

/** Names as ollama compares them: without a tag it means the latest. */
const withTag = (name: string): string =>
  name.slice(name.lastIndexOf("/") + 1).includes(":") ? name : `${name}:latest`;

const size = (value: unknown): number => (typeof value === "number" && value >= 0 ? value : 0);

/** The entry of `model` in an answer of `/api/ps`; null when it is not in memory. Throws EngineError for another answer. */
export function heldIn(answer: Record<string, unknown>, model: string): OllamaHeld | null {
  if (!Array.isArray(answer.models))
    throw engineError("bad-answer", "its list of running models is none", notOllama);
  for (const each of answer.models as unknown[]) {
    if (!isRecord(each)) continue;
    const names = [each.name, each.model].filter((name) => typeof name === "string");
    if (names.some((name) => withTag(name) === withTag(model)))
      return { sizeBytes: size(each.size), vramBytes: size(each.size_vram) };
  }
  return null;
}

/** Tokens of context the model was trained with, from `/api/show`; null when it does not tell. */
export function trainedContextIn(answer: Record<string, unknown>): number | null {
  const info = isRecord(answer.model_info) ? answer.model_info : {};
  const tokens = info[`${String(info["general.architecture"])}.context_length`];
  return typeof tokens === "number" && tokens > 0 ? tokens : null;
}

export interface OllamaTerms {
  model: string;
  /** Must be the same in every call: another value makes ollama load the model anew. Null: ollama's own. */
  contextTokens: number | null;
  /** How long ollama holds the model after a call: "5m", "1h"; -1 for ever. */
  keepAlive: string | number;
}

const options = (terms: OllamaTerms, more: Record<string, unknown> = {}) => ({
  ...(terms.contextTokens === null ? {} : { num_ctx: terms.contextTokens }),
  ...more,
});

/** Body for `/api/generate` that loads the model and generates nothing. */
export const loadBody = (terms: OllamaTerms) => ({
  model: terms.model,
  stream: false,
  keep_alive: terms.keepAlive,
  options: options(terms),
});

/** Body for `/api/generate` that takes the model out of memory. */
export const unloadBody = ({ model }: OllamaTerms) => ({ model, stream: false, keep_alive: 0 });

/** Path and body of a streamed generation. */
export function ollamaRequest(
  request: GenerateRequest,
  terms: OllamaTerms,
): { path: string; body: Record<string, unknown> } {
  const { input, maxTokens, temperature, topP, stop = [], seed } = request;
  const shared = {
    model: terms.model,
    stream: true,
    keep_alive: terms.keepAlive,
    options: options(terms, {
      num_predict: maxTokens,
      ...(temperature === undefined ? {} : { temperature }),
      ...(topP === undefined ? {} : { top_p: topP }),
      ...(stop.length === 0 ? {} : { stop }),
      ...(seed === undefined ? {} : { seed }),
    }),
  };
  if ("prompt" in input)
    return { path: "/api/generate", body: { ...shared, prompt: input.prompt, raw: true } };
  const messages = input.messages.map(({ role, content }) => ({ role, content }));
  return { path: "/api/chat", body: { ...shared, messages } };
}

const notOllama = "check that the address is that of ollama";

const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : null;

/** Pieces of a stream of JSON lines. Throws EngineError for a line that is none or tells an error. */
export async function* ollamaPieces(lines: AsyncIterable<string>): AsyncGenerator<Piece, void> {
  for await (const line of lines) {
    if (line.trim() === "") continue;
    const part = jsonObject(line);
    if (typeof part.error === "string")
      throw engineError("server-error", quoted(part.error), "look at ollama's log");
    const { message, response, done } = part;
    const text = isRecord(message) ? message.content : response;
    if (typeof text === "string" && text !== "") yield { kind: "text", text };
    else if (text !== undefined && typeof text !== "string")
      throw engineError("bad-answer", "a part of the answer has no text", notOllama);
    if (done !== true) continue;
    const finishReason = part.done_reason === "length" ? "length" : "stop";
    const usage = {
      promptTokens: count(part.prompt_eval_count),
      completionTokens: count(part.eval_count),
    };
    yield { kind: "end", finishReason, usage };
    return;
  }
}
