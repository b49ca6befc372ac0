import { describe, expect, test } from "bun:test";
import { Feedback } from "../../src/models/feedback.ts";
import { ModelFootprints } from "../../src/models/model-footprints.ts";
import { ModelPutOffs } from "../../src/models/model-put-offs.ts";
import { needBytes } from "../../src/models/need.ts";

const bytes = (more: object) => ({ declared: null, weights: null, kvPerToken: null, learned: [], ...more });
const MiB = 2 ** 20;

describe("what a model needs", () => {
  test.each([
    ["nothing known", {}, null],
    ["another host's", { declared: 0, learned: [{ contextTokens: 100, bytes: 5 }] }, 0],
    ["declared", { declared: 1_000 }, 1_000],
    ["declared, less the cache that is not asked for", { declared: 1_000, kvPerToken: 2 }, 1_000 - 2 * 100],
    ["the file: weights, 100 tokens of 2 bytes, 128 MiB", { weights: 7, kvPerToken: 2 }, 7 + 200 + 128 * MiB],
    ["weights without a cache tell nothing", { weights: 7 }, null],
    [
      "learned before all",
      { declared: 1, weights: 7, kvPerToken: 2, learned: [{ contextTokens: 100, bytes: 50 }] },
      50,
    ],
    ["learned for more context", { learned: [{ contextTokens: 150, bytes: 50 }] }, 50],
    [
      "learned for less context, cache unknown: not enough",
      { declared: 9, learned: [{ contextTokens: 50, bytes: 5 }] },
      9,
    ],
    [
      "the nearest, corrected by 20 tokens of 2",
      {
        kvPerToken: 2,
        learned: [
          { contextTokens: 10, bytes: 1 },
          { contextTokens: 80, bytes: 50 },
        ],
      },
      90,
    ],
  ])("%s", (_what, known, expected) => {
    expect(needBytes(bytes(known), 100, 200)).toBe(expected);
  });
});

describe("footprints", () => {
  test("keep the peak of each context, of the last 8 lives", () => {
    const learned = new ModelFootprints();
    learned.loaded("a", 100);
    for (const each of [5, 9, 7]) learned.learn("a", 100, each);
    expect(learned.peaks("a")).toEqual([{ contextTokens: 100, bytes: 9 }]);
    for (let life = 0; life < 8; life++) {
      learned.loaded("a", 100);
      learned.learn("a", 100, 3);
    }
    expect(learned.peaks("a")).toEqual([{ contextTokens: 100, bytes: 3 }]);
  });

  test("remember earlier runs, and 8 contexts", () => {
    const learned = new ModelFootprints();
    learned.remember("a", [{ contextTokens: 1, bytes: 4 }]);
    expect(learned.peaks("a")).toEqual([{ contextTokens: 1, bytes: 4 }]);
    for (let tokens = 2; tokens < 10; tokens++) learned.learn("a", tokens, tokens);
    expect(learned.peaks("a").map(({ contextTokens }) => contextTokens)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(learned.peaks("b")).toEqual([]);
  });
});

describe("feedback", () => {
  const good = { failed: false, firstTextMs: 100, tokensPerSecond: 10 };
  test("tells medians and the share of failures once there are enough answers", () => {
    const feedback = new Feedback();
    feedback.add(good);
    feedback.add({ ...good, tokensPerSecond: 30 });
    expect(feedback.summary()).toEqual({
      answers: 2,
      firstTextMs: null,
      tokensPerSecond: null,
      failedRatio: null,
    });
    feedback.add({ ...good, tokensPerSecond: 20 });
    feedback.add({ failed: true, firstTextMs: null, tokensPerSecond: null });
    expect(feedback.summary()).toEqual({
      answers: 4,
      firstTextMs: 100,
      tokensPerSecond: 20,
      failedRatio: 0.25,
    });
    feedback.forget();
    expect(feedback.summary().answers).toBe(0);
  });

  test("keeps the last 32", () => {
    const feedback = new Feedback();
    for (let each = 0; each < 32; each++) feedback.add({ ...good, failed: true });
    for (let each = 0; each < 24; each++) feedback.add(good);
    expect(feedback.summary()).toMatchObject({ answers: 32, failedRatio: 0.25 });
  });
});

describe("put-offs", () => {
  const terms = { initialMs: 10, mostMs: 35, relapseMs: 100 };
  test("grow with each failure in a row, up to the most", () => {
    const putOffs = new ModelPutOffs(terms);
    const waits: number[] = [];
    for (let round = 0; round < 4; round++) {
      putOffs.taken("a", 0);
      putOffs.failed("a", 50);
      waits.push((putOffs.untilMs("a", 50) ?? 0) - 50);
    }
    expect(waits).toEqual([10, 20, 35, 35]);
    expect(putOffs.untilMs("a", 85)).toBeUndefined();
    putOffs.taken("a", 1_000);
    putOffs.failed("a", 1_101);
    expect(putOffs.untilMs("a", 1_101)).toBe(1_111);
  });

  test("a server that cannot be asked is asked again soon, at most a minute later", () => {
    const putOffs = new ModelPutOffs({ initialMs: 300_000, mostMs: 7_200_000, relapseMs: 100 });
    const waits = Array.from({ length: 7 }, () => {
      putOffs.failed("a", 0, "unreachable");
      return putOffs.untilMs("a", 0);
    });
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    putOffs.failed("b", 0, "crashed");
    expect(putOffs.untilMs("b", 0)).toBe(300_000);
  });

  test("giving way for memory counts only soon after it was taken", () => {
    const putOffs = new ModelPutOffs(terms);
    putOffs.taken("a", 0);
    putOffs.gaveWay("a", 101);
    expect(putOffs.untilMs("a", 101)).toBeUndefined();
    putOffs.taken("a", 200);
    putOffs.gaveWay("a", 300);
    expect(putOffs.untilMs("a", 300)).toBe(310);
  });
});
