import { describe, expect, test } from "bun:test";
import { ladderPolicy as policy } from "../../src/models/ladder-facts.ts";
import { type ModelPreflightFacts, mostWaitMs, preflight } from "../../src/models/preflight.ts";
import { MiB, nowMs, situation } from "./ladder-situations.ts";

type Loaded = Parameters<typeof situation>[1];
const facts = (
  used: number,
  loaded: Loaded,
  more: Partial<ModelPreflightFacts> = {},
  change: Parameters<typeof situation>[3] = {},
): ModelPreflightFacts => {
  const { models, memory } = situation(used, loaded, {}, change);
  return { nowMs, models, memory, changing: null, finishing: null, without: [], held: [], ...more };
};
const best = { model: null, contextTokens: 1_000 };
const large = { model: "large", contextTokens: 1_000 };

describe("a preflight", () => {
  test("goes on with the best that is loaded, however full memory is: it holds its memory already", () => {
    expect(preflight(best, facts(94, ["medium", "small"]), policy)).toMatchObject({
      decision: "proceed",
      model: "medium",
      load: false,
    });
  });

  test("loads the named model when it fits beside, else answers with a smaller one", () => {
    // 34 + 40 is under 75.
    expect(preflight(large, facts(34, ["small"]), policy)).toMatchObject({
      decision: "proceed",
      model: "large",
      load: true,
      needBytes: 400 * MiB,
    });
    expect(preflight(large, facts(35, ["small"]), policy)).toMatchObject({
      decision: "smaller",
      model: "small",
      insteadOf: "large",
    });
    expect(preflight(large, facts(20, ["small"], { held: ["large"] }), policy).decision).toBe("smaller");
    const off = { large: { putOffUntilMs: nowMs + 1 } };
    expect(preflight(large, facts(20, ["small"], {}, off), policy).decision).toBe("smaller");
  });

  test("loads the best that fits when none is loaded, or none holds so much context", () => {
    expect(preflight(best, facts(40, []), policy)).toMatchObject({ model: "medium", load: true });
    // The last one alone: 82 + 10 is under 93.
    expect(preflight(best, facts(82, []), policy)).toMatchObject({ model: "small", load: true });
    const short = { small: { contextTokens: 512, loadedContextTokens: 512 } };
    expect(preflight(best, facts(40, ["small"], {}, short), policy)).toMatchObject({
      model: "medium",
      load: true,
    });
  });

  test("waits, bounded, while something changes, finishes or is busy", () => {
    const busy = { large: { generating: 1 } };
    expect(preflight(best, facts(50, [], { changing: "large" }), policy)).toMatchObject({
      decision: "wait",
      waitMs: mostWaitMs,
    });
    expect(preflight(best, facts(50, ["large"], { finishing: "large" }, busy), policy).decision).toBe("wait");
    expect(preflight(best, facts(50, ["large"], {}, busy), policy)).toMatchObject({
      decision: "wait",
      reason: "large gives 1 answers already, and 1 at once",
      blockedBy: [
        { name: "large", bytes: 400 * MiB },
        { name: "others", bytes: 100 * MiB },
      ],
    });
    expect(preflight(best, facts(60, ["large", "small"], {}, busy), policy)).toMatchObject({
      decision: "proceed",
      model: "small",
    });
  });

  test("refuses with who is in the way and when to ask again; never, where no model could", () => {
    expect(preflight(best, facts(83, []), policy)).toEqual({
      decision: "refuse",
      kind: "memory",
      retryAfterMs: 30_000,
      reason: "no model that would do is loaded, and none fits",
      blockedBy: [{ name: "others", bytes: 830 * MiB }],
    });
    expect(preflight({ model: null, contextTokens: 9_000 }, facts(10, []), policy)).toMatchObject({
      decision: "refuse",
      retryAfterMs: null,
      reason: "9000 tokens are asked for, and the longest context is 8192",
    });
    expect(preflight({ ...best, model: "huge" }, facts(10, []), policy)).toMatchObject({
      retryAfterMs: null,
      reason: 'none is called "huge"; known: large, medium, small',
    });
    expect(preflight(best, facts(10, [], { memory: null }), policy)).toMatchObject({ decision: "refuse" });
  });

  test("says why each cannot be used where memory is not in the way", () => {
    const broken = {
      large: { unusable: "large.gguf cannot be opened (ENOENT)" },
      medium: { putOffUntilMs: nowMs + 4_000, loadFailure: "nobody listens there" },
      small: { unloadedByPerson: true as const },
    };
    expect(preflight(best, facts(10, [], {}, broken), policy)).toEqual({
      decision: "refuse",
      kind: "unusable",
      retryAfterMs: 30_000,
      reason:
        "large cannot be used: large.gguf cannot be opened (ENOENT); medium did not load: nobody listens there; it is tried again in 4 s; small is unloaded until it is loaded by a person",
      blockedBy: [],
    });
    // One that gave way for memory is kept away for memory.
    const pressed = { ...broken, medium: { putOffUntilMs: nowMs + 4_000 } };
    expect(preflight(best, facts(10, [], {}, pressed), policy)).toMatchObject({ kind: "memory" });
    expect(preflight(best, facts(95, [], {}, { large: broken.large }), policy)).toMatchObject({
      kind: "memory",
    });
  });

  test("asks the next one when one failed this request", () => {
    expect(preflight(best, facts(60, ["large", "small"], { without: ["large"] }), policy)).toMatchObject({
      decision: "proceed",
      model: "small",
    });
    const all = { without: ["large", "medium", "small"] };
    expect(preflight(best, facts(60, ["large"], all), policy)).toMatchObject({
      decision: "refuse",
      reason: "every model failed",
    });
  });
});
