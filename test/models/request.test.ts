import { expect, test } from "bun:test";
import type { GenerateRequest } from "../../src/models/engine.ts";
import { mostInputCharacters, requestProblem } from "../../src/models/request.ts";
import { ask } from "./engine-contract.ts";

const user = (content: string) => ({ role: "user" as const, content });

const cases: [string, Partial<GenerateRequest>, string | null][] = [
  ["in order", { topP: 1, stop: ["x"], seed: 2 ** 32 - 1, temperature: 2 }, null],
  ["a conversation in order", { input: { messages: [user("a")] } }, null],
  ["an empty prompt", { input: { prompt: "" } }, "prompt: empty: expected a text to continue"],
  [
    "a long prompt",
    { input: { prompt: "x".repeat(mostInputCharacters + 1) } },
    "prompt: 262145 characters: at most 262144",
  ],
  ["no message", { input: { messages: [] } }, "messages: 0: expected 1 to 1000"],
  [
    "too many messages",
    { input: { messages: Array(1_001).fill(user("a")) } },
    "messages: 1001: expected 1 to 1000",
  ],
  [
    "an answer at the end",
    { input: { messages: [{ role: "assistant", content: "a" }] } },
    "messages: the last one must have the role user",
  ],
  [
    "long messages",
    { input: { messages: [user("x".repeat(mostInputCharacters)), user("y")] } },
    "messages: 262145 characters: at most 262144",
  ],
  ["half a token", { maxTokens: 1.5 }, "maxTokens: 1.5: expected a whole number from 1 to 1000000"],
  ["a wild temperature", { temperature: 2.1 }, "temperature: 2.1: expected 0 to 2"],
  ["no temperature", { temperature: Number.NaN }, "temperature: NaN: expected 0 to 2"],
  ["a topP of 0", { topP: 0 }, "topP: 0: expected above 0, at most 1"],
  ["a seed below 0", { seed: -1 }, "seed: -1: expected a whole number from 0 to 4294967295"],
  ["many stops", { stop: ["a", "b", "c", "d", "e"] }, "stop: 5 texts: at most 4"],
  ["an empty stop", { stop: [""] }, "stop: a text of 0 characters: expected 1 to 256"],
];

test.each(cases)("a request: %s", (_, more, problem) => {
  expect(requestProblem(ask(more))).toBe(problem);
});
