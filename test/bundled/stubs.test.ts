import { describe, expect, test } from "bun:test";
import type { Json } from "conductor/plugin";
import * as fc from "fast-check";
import { createStubs } from "../../plugins/stubs/index.ts";
import { ask, initialize, type Logged } from "./drive.ts";

async function started(config: Record<string, Json> = {}, logged: Logged = []) {
  const stubs = createStubs();
  await initialize(stubs, "stubs", config, { logged });
  return stubs;
}

describe("stubs", () => {
  test("names the platform that it stands in for, and why, and when to try again", async () => {
    const fallback = { unavailable: "voice", reason: "shed at 83.1 % of memory" };
    expect(await ask(await started(), { platform: "voice", fallback })).toEqual({
      reply: "voice is unavailable right now: shed at 83.1 % of memory. Please try again later.",
      unavailable: "voice",
      platform: "voice",
      reason: "shed at 83.1 % of memory",
      retry: "try again in 30 s",
      retryAfterSeconds: 30,
    });
  });

  test("names the requested platform when nobody told it of a fallback", async () => {
    const answer = await ask(await started(), { platform: "fax" });
    expect(answer.unavailable).toBe("fax");
    expect(answer.reply).toBe("fax is unavailable right now: it is not running. Please try again later.");
  });

  test("the fallback decides when it differs from the platform", async () => {
    const fallback = { unavailable: "android", reason: "breaker open" };
    const answer = await ask(await started(), { platform: "discord", fallback });
    expect(answer).toMatchObject({ unavailable: "android", platform: "discord", reason: "breaker open" });
  });

  test("a long reason is cut to 200 characters", async () => {
    const fallback = { unavailable: "voice", reason: "r".repeat(201) };
    const answer = await ask(await started({ reply: "{reason}" }), { platform: "voice", fallback });
    expect([answer.reply, answer.reason]).toEqual(["r".repeat(200), "r".repeat(200)]);
  });

  test("a request to stubs itself is not told that anything is unavailable", async () => {
    expect(await ask(await started(), { platform: "stubs" })).toEqual({
      reply: "stubs is standing by: it answers for platforms that are down",
      unavailable: null,
      platform: "stubs",
    });
  });

  test("a platform's own text goes before the common one, and both may hold placeholders", async () => {
    const stubs = await started({
      reply: "{platform}? {reason}!",
      replies: { voice: "I cannot speak ({reason})." },
      retryAfterSeconds: 5,
    });
    const reason = "price $& $1";
    const voice = await ask(stubs, { platform: "voice", fallback: { unavailable: "voice", reason } });
    expect(voice.reply).toBe("I cannot speak (price $& $1).");
    expect(voice.retryAfterSeconds).toBe(5);
    const fax = await ask(stubs, { platform: "fax", fallback: { unavailable: "fax", reason } });
    expect(fax.reply).toBe("fax? price $& $1!");
    expect(await stubs.healthCheck?.()).toEqual({ status: "healthy" });
  });

  const wrong: [string, Record<string, Json>, string][] = [
    ["a text that is a number", { reply: 5 }, "plugins.config.stubs.reply: 5: expected a text of 1 to 500"],
    [
      "an empty text",
      { replies: { voice: " " } },
      'plugins.config.stubs.replies.voice: " ": expected a text',
    ],
    ["texts as a list", { replies: ["a"] }, 'plugins.config.stubs.replies: ["a"]: expected a text for each'],
    [
      "a wait of zero",
      { retryAfterSeconds: 0 },
      "retryAfterSeconds: 0: expected a whole number from 1 to 86400",
    ],
    [
      "an unknown key",
      { replys: {} },
      "plugins.config.stubs.replys: {}: expected no such key; known are reply,",
    ],
    [
      "too many platforms",
      { replies: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`p${index}`, "x"])) },
      "plugins.config.stubs.replies: 101: expected at most 100 platforms",
    ],
  ];
  test.each(wrong)("%s: starts degraded, says which setting, and answers", async (_, config, problem) => {
    const logged: Logged = [];
    const stubs = await started(config, logged);
    const health = await stubs.healthCheck?.();
    expect(health?.status).toBe("degraded");
    expect(health?.detail).toContain(problem);
    expect(logged.map(({ fields }) => fields.problem).join()).toContain(problem);
    expect((await ask(stubs, { platform: "fax" })).reply).toContain("fax is unavailable right now");
  });

  test("no configuration and no request makes it throw, and its reply stays short", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom("reply", "replies", "retryAfterSeconds", "x"), fc.jsonValue()),
        fc.string({ maxLength: 80 }),
        fc.jsonValue(),
        fc.option(
          fc.record({ unavailable: fc.string({ maxLength: 80 }), reason: fc.string({ maxLength: 400 }) }),
        ),
        async (config, platform, payload, fallback) => {
          const stubs = await started(config as Record<string, Json>);
          const request = { platform, payload: payload as Json, ...(fallback ? { fallback } : {}) };
          const { reply } = await ask(stubs, request);
          expect(typeof reply === "string" && reply.length > 0 && reply.length < 1_000).toBe(true);
        },
      ),
      { seed: 20_240_601, numRuns: 200 },
    );
  });
});
