import { describe, expect, test } from "bun:test";
import { ladderPolicy as policy } from "../../src/models/ladder-facts.ts";
import { type ModelStanding, missingBytes, notLoadedBecause } from "../../src/models/standing.ts";
import { type MemoryUser, suggestions } from "../../src/models/suggestions.ts";
import { calmSince, MiB, model, nowMs, situation } from "./ladder-situations.ts";

const standing = (
  missing: number | null,
  more: Partial<ModelStanding> = {},
  weights: number | null = null,
): ModelStanding => {
  const facts = model("large");
  return {
    facts: { ...facts, bytes: { ...facts.bytes, weights } },
    quantisation: null,
    feedback: { answers: 0, firstTextMs: null, tokensPerSecond: null, failedRatio: null },
    failure: null,
    loads: 0,
    notLoadedBecause: null,
    missingBytes: missing,
    ...more,
  };
};
const using = (...sizes: [string, number][]): MemoryUser[] =>
  sizes.map(([name, size]) => ({ name, kind: "plugin", bytes: size * MiB }));

describe("suggestions", () => {
  test.each([
    [
      "the smallest that is enough",
      90,
      using(["a", 300], ["b", 100], ["c", 90]),
      "close b: frees 100 MiB, and large fits",
    ],
    [
      "two together when none is",
      350,
      using(["a", 300], ["b", 40], ["c", 100]),
      "close a and c: frees 400 MiB, and large fits",
    ],
    ["none when three are not enough", 500, using(["a", 100], ["b", 100], ["c", 100], ["d", 300]), null],
    ["none where nothing is missing", 0, using(["a", 300]), null],
    ["none where it is not known what is missing", null, using(["a", 300]), null],
  ] as const)("close %s", (_, missing, users, text) => {
    const told = suggestions([standing(missing === null ? null : missing * MiB)], () => users);
    expect(told.map((each) => each.text)).toEqual(text === null ? [] : [text]);
  });

  // Of 16 bits 4.5 are 28.1 %; of 8.5 (Q8_0) 52.9 %; of Q4_K all.
  test.each([
    ["F16", 1_000, 700, "use a 4-bit build of large: saves 719 MiB, and it fits"],
    ["F16", 1_000, 800, "use a 4-bit build of large: saves 719 MiB"],
    ["Q8_0", 1_000, 800, "use a 4-bit build of large: saves 471 MiB"],
    ["Q4_K", 1_000, 800, null],
    ["type 99", 1_000, 800, null],
    ["F16", 50, 800, null],
  ])("a build in fewer bits: %s of %d MiB, %d missing", (quantisation, weights, missing, text) => {
    const told = suggestions([standing(missing * MiB, { quantisation }, weights * MiB)], () => []);
    expect(told.map((each) => each.text)).toEqual(text === null ? [] : [text]);
  });
});

describe("why a model is not loaded", () => {
  const why = (name: string, ...args: Parameters<typeof situation>) =>
    notLoadedBecause(name, situation(...args), policy);
  const byPerson = { unloadedByPerson: true as const };
  test.each([
    ["it is", why("large", 50, ["large"]), null],
    [
      "memory",
      why("large", 60, ["small"]),
      "needs 400 MiB, which comes to 90.0 % of the budget, not under 75.0 %",
    ],
    ["calm is waited for", why("large", 30, ["small"]), "waits for 5 min of calm"],
    ["it is about to be", why("large", 30, ["small"], calmSince), "is about to be loaded"],
    ["a better one answers", why("small", 50, ["large"]), "is not needed: large answers"],
    [
      "a person",
      why("large", 30, ["small"], {}, { large: byPerson }),
      "is unloaded until it is loaded by a person",
    ],
    [
      "another is pinned",
      why("large", 30, ["small"], {}, { small: { pinned: true } }),
      "is not wanted: small is pinned",
    ],
    [
      "it failed",
      why("large", 30, ["small"], {}, { large: { putOffUntilMs: nowMs + 1 } }),
      "is put off after what happened the last time",
    ],
  ])("%s", (_, told, expected) => {
    expect(told).toBe(expected);
  });

  test("bytes that are missing are counted to its line, less the margin, in place of the active one", () => {
    // 60 + 40 - 10 are 90, and 75 may be.
    expect(missingBytes("large", situation(60, ["small"]), policy)).toBe(150 * MiB);
    expect(missingBytes("large", situation(30, ["small"]), policy)).toBe(0);
    expect(missingBytes("large", situation(60, ["large"]), policy)).toBe(0);
  });
});
