/** What an engine may be asked: bounds that hold for all of them. */

import type { GenerateRequest } from "./engine.ts";

/** Characters of all messages together, or of the prompt: well over any context, and small enough to be one message. */
export const mostInputCharacters = 2 ** 18;
export const mostMessages = 1_000;
const mostTokens = 1_000_000;
const mostStops = 4;
const mostStopCharacters = 256;

const isWhole = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

function inputProblem(input: GenerateRequest["input"]): string | null {
  if ("prompt" in input) {
    if (input.prompt === "") return "prompt: empty: expected a text to continue";
    return input.prompt.length > mostInputCharacters
      ? `prompt: ${input.prompt.length} characters: at most ${mostInputCharacters}`
      : null;
  }
  const { messages } = input;
  if (messages.length < 1 || messages.length > mostMessages)
    return `messages: ${messages.length}: expected 1 to ${mostMessages}`;
  if (messages.at(-1)?.role !== "user") return "messages: the last one must have the role user";
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  return characters > mostInputCharacters
    ? `messages: ${characters} characters: at most ${mostInputCharacters}`
    : null;
}

/** The field, its value and what is allowed; null when the request is in order. */
export function requestProblem(request: GenerateRequest): string | null {
  const { maxTokens, temperature, topP, stop = [], seed } = request;
  const input = inputProblem(request.input);
  if (input !== null) return input;
  if (!isWhole(maxTokens, 1, mostTokens))
    return `maxTokens: ${maxTokens}: expected a whole number from 1 to ${mostTokens}`;
  if (temperature !== undefined && !(temperature >= 0 && temperature <= 2))
    return `temperature: ${temperature}: expected 0 to 2`;
  if (topP !== undefined && !(topP > 0 && topP <= 1)) return `topP: ${topP}: expected above 0, at most 1`;
  if (seed !== undefined && !isWhole(seed, 0, 2 ** 32 - 1))
    return `seed: ${seed}: expected a whole number from 0 to ${2 ** 32 - 1}`;
  if (stop.length > mostStops) return `stop: ${stop.length} texts: at most ${mostStops}`;
  const wrong = stop.find((text) => text === "" || text.length > mostStopCharacters);
  return wrong === undefined
    ? null
    : `stop: a text of ${wrong.length} characters: expected 1 to ${mostStopCharacters}`;
}
