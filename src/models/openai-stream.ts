/** A streamed answer of an OpenAI-compatible server, event by event, as pieces. */

import type { Piece } from "./driver.ts";
import type { Usage } from "./engine.ts";
import { engineError } from "./failure.ts";
import { isRecord, jsonObject, messageIn } from "./http-call.ts";

const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : null;

const wrong = (what: string) =>
  engineError("bad-answer", what, "check that the address is that of an OpenAI-compatible server");

/** The text of a choice: `delta.content` of a chat, `text` of a completion; "" where it has none. */
function textOf(choice: Record<string, unknown>): string {
  const { delta } = choice;
  const text = isRecord(delta) ? delta.content : choice.text;
  if (text === undefined || text === null) return "";
  if (typeof text === "string") return text;
  throw wrong(`the text of a choice is ${JSON.stringify(text)?.slice(0, 60)}`);
}

function finishOf(reason: unknown): "stop" | "length" | null {
  if (reason === null || reason === undefined) return null;
  if (reason === "length") return "length";
  if (reason === "content_filter")
    throw engineError("refused", "the server's content filter ended the answer", "ask for something else");
  // stop, tool_calls, function_call, eos, …: the model was done.
  return "stop";
}

function usageOf(value: unknown): Usage | null {
  if (!isRecord(value)) return null;
  return { promptTokens: count(value.prompt_tokens), completionTokens: count(value.completion_tokens) };
}

/**
 * Pieces of the events' data, until `[DONE]` or the end of the stream after the model was done. Throws EngineError for an
 * event that is no JSON object or holds an error. Without an end piece the answer broke off.
 */
export async function* openaiPieces(events: AsyncIterable<string>): AsyncGenerator<Piece, void> {
  let finishReason: "stop" | "length" | null = null;
  let usage: Usage = { promptTokens: null, completionTokens: null };
  for await (const data of events) {
    if (data.trimEnd() === "[DONE]") {
      finishReason ??= "stop";
      break;
    }
    const event = jsonObject(data);
    if (event.error) throw engineError("server-error", messageIn(data), "look at the server's log");
    const { choices } = event;
    if (choices !== undefined && !Array.isArray(choices)) throw wrong("choices is no list");
    usage = usageOf(event.usage) ?? usage;
    const choice: unknown = choices?.[0];
    if (choice === undefined) continue;
    if (!isRecord(choice)) throw wrong("a choice is no object");
    const text = textOf(choice);
    if (text !== "") yield { kind: "text", text };
    finishReason = finishOf(choice.finish_reason) ?? finishReason;
  }
  if (finishReason !== null) yield { kind: "end", finishReason, usage };
}
