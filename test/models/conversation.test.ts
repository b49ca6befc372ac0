import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cutToContext, TokenEstimate } from "../../src/models/conversation.ts";
import { MemoryConversations } from "../../src/models/conversation-store.ts";
import type { ChatMessage } from "../../src/models/engine.ts";
import { conversationContract } from "./conversation-contract.ts";

const say = (role: ChatMessage["role"], characters: number): ChatMessage => ({
  role,
  content: "x".repeat(characters),
});
/** 35 characters are 10 tokens, and each message has 6 more. */
const history = [
  say("system", 35),
  say("user", 35),
  say("assistant", 35),
  say("user", 35),
  say("assistant", 35),
  say("user", 35),
];

describe("cutting a conversation", () => {
  // The whole: 6 messages of 16 tokens; without the first turn 4; without the second one 2.
  test.each([
    [96, 0, 6],
    [95, 1, 4],
    [64, 1, 4],
    [63, 2, 2],
    [32, 2, 2],
  ])("to %d tokens drops %d turns and keeps %d messages", (room, droppedTurns, kept) => {
    const cut = cutToContext(history, room + 10, 10, new TokenEstimate());
    expect(cut).toMatchObject({ fits: true, droppedTurns, tokens: kept * 16 });
    if (cut.fits) expect(cut.messages.length).toBe(kept);
  });

  test("tells when even the last turn is too long", () => {
    expect(cutToContext(history, 41, 10, new TokenEstimate())).toEqual({
      fits: false,
      tokens: 32,
      mostTokens: 31,
    });
  });

  test("keeps what the system says, whole turns, and the last question", () => {
    const role = fc.constantFrom("system" as const, "user" as const, "assistant" as const);
    const messages = fc.array(fc.record({ role, content: fc.string({ maxLength: 60 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(messages, fc.integer({ min: 20, max: 400 }), (before, context) => {
        const all = [...before, say("user", 10)];
        const estimate = new TokenEstimate();
        const cut = cutToContext(all, context, 10, estimate);
        if (!cut.fits) return;
        expect(estimate.of(cut.messages)).toBeLessThanOrEqual(context - 10);
        const system = (list: readonly ChatMessage[]) => list.filter((each) => each.role === "system");
        expect(system(cut.messages)).toEqual(system(all));
        const rest = cut.messages.filter((each) => each.role !== "system");
        const turns = all.filter((each) => each.role !== "system");
        expect(rest).toEqual(turns.slice(turns.length - rest.length));
        if (cut.droppedTurns > 0) expect(rest[0]?.role).toBe("user");
      }),
      { seed: 20_261, numRuns: 500 },
    );
  });

  test("learns from what an engine counted, within bounds", () => {
    const estimate = new TokenEstimate();
    for (let each = 0; each < 40; each++) estimate.counted(1_000, 1, 506);
    expect(estimate.ofText("x".repeat(1_000))).toBe(500);
    for (let each = 0; each < 99; each++) estimate.counted(1_000_000, 1, 10);
    expect(estimate.ofText("x".repeat(1_190))).toBe(100);
    estimate.counted(99, 1, 50);
    expect(estimate.ofText("x".repeat(1_190))).toBe(100);
  });
});

conversationContract("in memory", (bounds) => ({
  store: new MemoryConversations(bounds),
  close: () => undefined,
}));
