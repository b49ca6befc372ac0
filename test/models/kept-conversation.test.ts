import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../src/models/engine.ts";
import { carriedOn, keptAfter } from "../../src/models/kept-conversation.ts";

const system = (content: string): ChatMessage => ({ role: "system", content });
const user = (content: string): ChatMessage => ({ role: "user", content });
const model = (content: string): ChatMessage => ({ role: "assistant", content });
const kept = [system("be short"), user("1"), model("one")];

describe("a kept conversation", () => {
  test.each([
    ["begins with what was sent", null, [user("1")], [user("1")]],
    ["goes on", kept, [user("2")], [...kept, user("2")]],
    [
      "takes the system's newest word",
      kept,
      [system("be kind"), user("2")],
      [system("be kind"), user("1"), model("one"), user("2")],
    ],
    [
      "is what a client sends that keeps its own",
      kept,
      [user("x"), model("y"), user("z")],
      [user("x"), model("y"), user("z")],
    ],
  ] as const)("%s", (_, before, sent, expected) => {
    expect(carriedOn(before, sent)).toEqual([...expected]);
    expect(keptAfter(before, sent, "ok")).toEqual([...expected, model("ok")]);
  });

  test("is bounded: the oldest turns go, the system's word stays", () => {
    const long = [system("be short"), ...Array.from({ length: 300 }, () => [user("q"), model("a")]).flat()];
    const after = keptAfter(long, [user("last")], "ok") ?? [];
    // 1 of the system and 249 turns of 2: of 500.
    expect([after.length, after[0], after.at(-2)]).toEqual([499, system("be short"), user("last")]);
    const wide = Array.from({ length: 4 }, () => [user("x".repeat(2 ** 15)), model("")]).flat();
    expect(keptAfter(wide, [user("last")], "ok")?.length).toBe(8);
    expect(keptAfter(null, [user("x".repeat(2 ** 17))], "ok")).toBeNull();
  });
});
