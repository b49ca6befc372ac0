import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TokenEstimate } from "../../src/models/conversation.ts";
import type { ChatMessage } from "../../src/models/engine.ts";
import {
  type AnswerRequest,
  fitted,
  leastTokens,
  mostUnaskedTokens,
  wholeTokens,
} from "../../src/models/fitting.ts";
import { mostInputCharacters, requestProblem } from "../../src/models/request.ts";

const seed = 4_711;
const estimate = new TokenEstimate();
/** 35 characters are 10 tokens, and each message has 6 more. */
const said = (role: ChatMessage["role"], characters = 35): ChatMessage => ({
  role,
  content: "x".repeat(characters),
});
const chat = (turns: number, maxTokens: number | null = 100): AnswerRequest => ({
  input: {
    messages: [
      said("system"),
      ...Array.from({ length: turns }, () => [said("user"), said("assistant")]).flat(),
      said("user"),
    ],
  },
  maxTokens,
});
const lengthOf = (request: AnswerRequest | undefined) =>
  request && "messages" in request.input ? request.input.messages.length : null;

describe("a request fitted to a context", () => {
  // 10 turns: 22 messages of 16 tokens are 352; the room for the answer is the least of 100, 512 and a quarter.
  test.each([
    [1_000, 0, 100],
    [452, 0, 100],
    [451, 1, 100],
    // A quarter of 240 is 60: 11 messages of 16 tokens stay, but turns go in pairs: 10, and 80 are left.
    [240, 6, 80],
    [64, 10, 32],
  ])(
    "of %d tokens drops %d turns and leaves %d tokens for the answer",
    (context, droppedTurns, maxTokens) => {
      expect(fitted(chat(10), context, estimate)).toMatchObject({ droppedTurns, request: { maxTokens } });
    },
  );

  test("is null when the last turn alone is too long, also a text to be continued", () => {
    expect(fitted(chat(3), 63, estimate)).toBeNull();
    expect(fitted({ input: { prompt: "x".repeat(3_500) }, maxTokens: 16 }, 1_000, estimate)).toBeNull();
    expect(fitted({ input: { prompt: "x".repeat(350) }, maxTokens: 16 }, 1_000, estimate)).toMatchObject({
      droppedTurns: 0,
      request: { input: { prompt: "x".repeat(350) }, maxTokens: 16 },
    });
  });

  test("leaves the answer nine tenths of the room when its length is open, within a bound", () => {
    // Two messages are 32 tokens.
    expect(fitted(chat(0, null), 1_032, estimate)?.request.maxTokens).toBe(900);
    expect(fitted(chat(0, null), 100_000, estimate)?.request.maxTokens).toBe(mostUnaskedTokens);
  });

  test("gives an answer no more than the context has", () => {
    expect(fitted(chat(0, 1_000_000), 1_032, estimate)?.request.maxTokens).toBe(1_000);
  });

  test("drops what is over the bounds of any request", () => {
    const request = chat(0);
    const long = [said("user", mostInputCharacters), said("assistant"), said("user")];
    const fit = fitted({ ...request, input: { messages: long } }, Number.POSITIVE_INFINITY, estimate);
    expect([fit?.droppedTurns, lengthOf(fit?.request)]).toEqual([1, 1]);
    expect(lengthOf(fitted(chat(2_000), Number.POSITIVE_INFINITY, estimate)?.request)).toBe(1_000);
  });

  test("stays within the context, is in order, and keeps the last question, whatever is asked", () => {
    const message = fc.record({
      role: fc.constantFrom("system" as const, "user" as const, "assistant" as const),
      content: fc.string({ maxLength: 400 }),
    });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 30 }),
        fc.string({ minLength: 1, maxLength: 200 }),
        fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 10_000 })),
        fc.integer({ min: 8, max: 6_000 }),
        (before, last, maxTokens, context) => {
          const messages: ChatMessage[] = [...before, { role: "user", content: last }];
          const request = { input: { messages }, maxTokens };
          const fit = fitted(request, context, estimate);
          // Whoever is let in by its least tokens can be answered.
          expect(fit === null).toBe(leastTokens(request, estimate) > context);
          if (fit === null || !("messages" in fit.request.input)) return;
          const kept = fit.request.input.messages;
          expect(estimate.of(kept) + fit.request.maxTokens).toBeLessThanOrEqual(context);
          expect(requestProblem(fit.request)).toBeNull();
          expect(kept.at(-1)?.content).toBe(last);
          const systems = (all: readonly ChatMessage[]) => all.filter(({ role }) => role === "system");
          expect(systems(kept)).toEqual(systems(messages));
          if (wholeTokens(request, estimate) <= context) expect(kept).toEqual(messages);
        },
      ),
      { seed, numRuns: 2_000 },
    );
  });

  test("looks at each message a few times, however many turns go", () => {
    let looks = 0;
    const counted = (role: ChatMessage["role"]): ChatMessage => ({
      role,
      get content() {
        looks++;
        return "x";
      },
    });
    const turns = Array.from({ length: 17_500 }, () => [counted("user"), counted("assistant")]).flat();
    const request = { input: { messages: [...turns, said("user")] }, maxTokens: 10 };
    expect(fitted(request, 500, estimate)?.droppedTurns).toBeGreaterThan(17_000);
    // Each turn against all others would be some 300 million.
    expect(looks).toBeLessThan(10 * turns.length);
  });
});
