import { describe, expect, test } from "bun:test";
import { decideModel } from "../../src/models/ladder.ts";
import { type LadderVerdict, ladderPolicy as policy } from "../../src/models/ladder-facts.ts";
import { budgetBytes, calmSince, MiB, nowMs, situation } from "./ladder-situations.ts";

const short = (verdict: LadderVerdict) => {
  const from = verdict.action === "switch" ? `${verdict.from}>` : "";
  return `${verdict.rule} ${verdict.action} ${from}${verdict.model ?? "-"}`;
};
const kv = (name: string, megabytes: number) => ({
  [name]: {
    bytes: { declared: null, weights: 100 * MiB, kvPerToken: (megabytes * MiB) / 8_192, learned: [] },
  },
});

describe("with no model loaded", () => {
  // Under 75 % (80 less 5 points): 34 + 40 fits, 35 + 40 does not. The last one alone: under 93 %.
  test.each([
    [34, "fits load large"],
    [35, "fits load medium"],
    [54, "fits load medium"],
    [55, "fits load small"],
    [82, "fits load small"],
    [83, "hold hold -"],
  ])("at %d %% used: %s", (used, expected) => {
    expect(short(decideModel(situation(used, []), policy))).toBe(expected);
  });

  test("counts what is promised, and what is expected at the worst", () => {
    const memory = { usedBytes: 200 * MiB, reservedBytes: 150 * MiB, budgetBytes };
    expect(short(decideModel(situation(0, [], { memory }), policy))).toBe("fits load medium");
    const forecast = { valueRatio: 0.2, upperRatio: 0.56 };
    const verdict = decideModel(situation(20, [], { forecast }), policy);
    expect(short(verdict)).toBe("fits load small");
    expect(verdict.rejected.map(({ model }) => model)).toEqual(["large", "medium"]);
    expect(verdict.rejected[0]?.because).toBe(
      "is expected to come to 96.0 % of the budget, not under 75.0 %",
    );
  });

  test("takes a smaller one than it gave up at once, and what it gave up after calm", () => {
    expect(short(decideModel(situation(20, [], { gaveUp: "large" }), policy))).toBe("again load medium");
    // After the last one nobody answers: it waits for a minute only.
    const lastChangeMs = nowMs - policy.serviceMs;
    const gone = { gaveUp: "small", lastChangeMs };
    expect(short(decideModel(situation(20, [], gone), policy))).toBe("again load small");
    const just = { gaveUp: "small", lastChangeMs: lastChangeMs + 1 };
    expect(short(decideModel(situation(20, [], just), policy))).toBe("hold hold -");
    expect(short(decideModel(situation(20, [], { gaveUp: "large", ...calmSince }), policy))).toBe(
      "fits load large",
    );
  });

  test("leaves out what is put off, and what is not known", () => {
    const off = { large: { putOffUntilMs: nowMs + 1 } };
    expect(short(decideModel(situation(20, [], {}, off), policy))).toBe("fits load medium");
    const unknown = { large: { bytes: { declared: null, weights: null, kvPerToken: null, learned: [] } } };
    const verdict = decideModel(situation(20, [], {}, unknown), policy);
    expect(verdict.rejected).toEqual([
      { model: "large", because: "needs an unknown amount of memory: give it `memory`" },
    ]);
  });

  test("believes what it measured more than what is written", () => {
    const learned = [{ contextTokens: 8_192, bytes: 600 * MiB }];
    const bytes = { declared: 400 * MiB, weights: null, kvPerToken: null, learned };
    expect(short(decideModel(situation(20, [], {}, { large: { bytes } }), policy))).toBe("fits load medium");
  });
});

describe("when memory runs short", () => {
  test("steps down at 80 %, measured or promised, to the best that fits under the line", () => {
    expect(short(decideModel(situation(79.9, ["large"]), policy))).toBe("hold hold -");
    const verdict = decideModel(situation(80, ["large"]), policy);
    expect(verdict).toMatchObject({
      rule: "threshold",
      action: "switch",
      from: "large",
      model: "medium",
      beside: false,
      reason:
        "80.0 % of the budget is used or promised, at or over the line of large at 80.0 %: medium takes its place",
    });
  });

  // In place of large: used - 40 + its own share, under 80.
  test.each([
    [94, "threshold switch large>medium"],
    [99, "emergency unload large"],
  ])("at %d %%", (used, expected) => {
    expect(short(decideModel(situation(used, ["large"]), policy))).toBe(expected);
  });

  test("at a model's own line", () => {
    const early = { large: { stepDownRatio: 0.6 } };
    expect(short(decideModel(situation(60, ["large"], {}, early), policy))).toBe(
      "threshold switch large>medium",
    );
    const late = { large: { stepDownRatio: 0.9 } };
    expect(short(decideModel(situation(89, ["large"], {}, late), policy))).toBe("hold hold -");
  });

  test("on what is expected, before it is measured", () => {
    const forecast = { valueRatio: 0.85, upperRatio: 0.9 };
    expect(short(decideModel(situation(60, ["large"], { forecast }), policy))).toBe(
      "forecast switch large>medium",
    );
  });

  test("unloads when nothing smaller fits", () => {
    expect(short(decideModel(situation(92.9, ["small"]), policy))).toBe("hold hold -");
    expect(short(decideModel(situation(93, ["small"]), policy))).toBe("threshold unload small");
    // 125 % are expected: 105 with medium in place of large, 95 with small.
    const forecast = { valueRatio: 1.25, upperRatio: 1.3 };
    const verdict = decideModel(situation(90, ["large"], { forecast }), policy);
    expect(short(verdict)).toBe("threshold unload large");
    expect(verdict.rejected.map(({ model }) => model)).toEqual(["medium", "small"]);
  });

  test("an answer under way is let finish", () => {
    const verdict = decideModel(situation(85, ["large"], {}, { large: { generating: 2 } }), policy);
    expect(short(verdict)).toBe("finish hold large");
    expect(verdict.reason).toEndWith("medium takes its place, once large has finished 2 of its answers");
  });

  test("first of all gives fewer answers at once", () => {
    const change = { large: { generating: 2, parallel: 4, mostParallel: 4 } };
    expect(decideModel(situation(85, ["large"], {}, change), policy)).toMatchObject({
      action: "trim",
      setting: { contextTokens: 8_192, parallel: 1 },
    });
  });

  test("then takes the longest context that frees enough", () => {
    // 300 MiB of cache: half of it frees 150; needed are 82 - 80 + 5 points = 70 MiB, or at 92 % 170.
    const change = { large: { ...kv("large", 300).large, heldBytes: 528 * MiB } };
    expect(decideModel(situation(82, ["large"], {}, change), policy)).toMatchObject({
      rule: "threshold",
      action: "trim",
      model: "large",
      setting: { contextTokens: 4_096 },
      needBytes: (100 + 150 + 128) * MiB,
    });
    expect(decideModel(situation(92, ["large"], {}, change), policy)).toMatchObject({
      action: "trim",
      setting: { contextTokens: 2_048 },
    });
    expect(short(decideModel(situation(92, ["large"], { contextWanted: 4_096 }, change), policy))).toBe(
      "threshold switch large>medium",
    );
  });

  test("idle models go first when they are enough, by the time to load them again for each byte", () => {
    const change = { medium: { loadMs: 30_000 }, small: { loadMs: 1_000 } };
    const loaded = ["large", "medium", "small"] as const;
    expect(short(decideModel(situation(82, loaded, {}, change), policy))).toBe("threshold unload small");
    // 90 - 80 + 5 points: 150 MiB, which medium and small have together.
    expect(short(decideModel(situation(90, loaded, {}, change), policy))).toBe("threshold unload small");
    // Small alone is not enough: large goes, and small is there already.
    expect(short(decideModel(situation(94, ["large", "small"]), policy))).toBe("threshold unload large");
  });

  test("a model that holds none of this memory stays", () => {
    const remote = { bytes: { declared: 0, weights: null, kvPerToken: null, learned: [] }, heldBytes: null };
    expect(short(decideModel(situation(90, ["large"], {}, { large: remote }), policy))).toBe("hold hold -");
  });
});

describe("what is not touched", () => {
  test("a model that was just loaded, short of an emergency", () => {
    const change = { large: { loadedAtMs: nowMs - policy.justLoadedMs + 1 } };
    const lastChangeMs = nowMs - policy.settleMs;
    expect(short(decideModel(situation(90, ["large"], { lastChangeMs }, change), policy))).toBe(
      "hold hold -",
    );
    expect(short(decideModel(situation(95, ["large"], { lastChangeMs }, change), policy))).toBe(
      "emergency unload large",
    );
  });

  test("anything while something changes, or memory settles", () => {
    const loading = { medium: { state: "loading" as const } };
    expect(short(decideModel(situation(90, ["large"], {}, loading), policy))).toBe("hold hold -");
    const lastChangeMs = nowMs - policy.settleMs + 1;
    expect(short(decideModel(situation(90, ["large"], { lastChangeMs }), policy))).toBe("hold hold -");
  });
});

describe("in an emergency", () => {
  test("cuts answers, after idle models went, and gives a load up", () => {
    const busy = { large: { generating: 1 } };
    expect(short(decideModel(situation(95, ["large", "small"], {}, busy), policy))).toBe(
      "emergency unload small",
    );
    expect(short(decideModel(situation(95, ["large"], {}, busy), policy))).toBe("emergency cut large");
    const loading = { large: { state: "loading" as const } };
    expect(short(decideModel(situation(95, ["small"], {}, loading), policy))).toBe("emergency cut large");
    const unloading = { large: { state: "unloading" as const } };
    expect(short(decideModel(situation(95, [], {}, unloading), policy))).toBe("hold hold -");
  });

  test("is what is measured, not what is promised", () => {
    const memory = { usedBytes: 700 * MiB, reservedBytes: 300 * MiB, budgetBytes };
    expect(decideModel(situation(0, ["large"], { memory }), policy).rule).toBe("threshold");
  });
});

describe("the model itself", () => {
  test("gives way when it is slower than it may be, with memory free; the smaller one is loaded beside it", () => {
    const change = { large: { tokensPerSecond: 1.5, slowestTokensPerSecond: 2 } };
    expect(decideModel(situation(50, ["large"], {}, change), policy)).toMatchObject({
      rule: "slow",
      action: "switch",
      model: "medium",
      beside: true,
    });
    const fast = { large: { tokensPerSecond: 2, slowestTokensPerSecond: 2 } };
    expect(short(decideModel(situation(50, ["large"], {}, fast), policy))).toBe("hold hold -");
  });

  test("gives way when half of its answers fail, but not for nothing", () => {
    const failing = { failedRatio: 0.5 };
    expect(short(decideModel(situation(50, ["large"], {}, { large: failing }), policy))).toBe(
      "failing switch large>medium",
    );
    expect(short(decideModel(situation(50, ["small"], {}, { small: failing }), policy))).toBe("hold hold -");
  });

  test("when it failed and left something, that goes first", () => {
    const failed = { large: { state: "failed" as const, heldBytes: MiB } };
    expect(short(decideModel(situation(50, [], {}, failed), policy))).toBe("still-held unload large");
  });
});

describe("after calm", () => {
  test("takes the best that fits 5 points under its line, with what the present one frees", () => {
    expect(short(decideModel(situation(30, ["small"]), policy))).toBe("hold hold -");
    const calmSinceMs = nowMs - policy.calmMs;
    expect(short(decideModel(situation(30, ["small"], { calmSinceMs: calmSinceMs + 1 }), policy))).toBe(
      "hold hold -",
    );
    expect(decideModel(situation(30, ["small"], { calmSinceMs }), policy)).toMatchObject({
      rule: "calm",
      action: "switch",
      from: "small",
      model: "large",
      beside: true,
    });
    // 44 - 10 + 40 = 74 fits in place of it; 44 + 40 does not beside it.
    expect(decideModel(situation(44, ["small"], calmSince), policy)).toMatchObject({
      model: "large",
      beside: false,
    });
    expect(short(decideModel(situation(45, ["small"], calmSince), policy))).toBe("calm switch small>medium");
    expect(short(decideModel(situation(65, ["small"], calmSince), policy))).toBe("hold hold -");
  });

  test("not in place of one that is in use", () => {
    const busy = { small: { generating: 1 } };
    expect(short(decideModel(situation(44, ["small"], calmSince, busy), policy))).toBe("hold hold -");
    expect(short(decideModel(situation(30, ["small"], calmSince, busy), policy))).toBe(
      "calm switch small>large",
    );
  });

  test("gives back what was trimmed", () => {
    const fewer = { large: { parallel: 1, mostParallel: 4 } };
    expect(decideModel(situation(60, ["large"], calmSince, fewer), policy)).toMatchObject({
      action: "switch",
      from: "large",
      model: "large",
      setting: { contextTokens: 8_192, parallel: 4 },
    });
    const shorter = {
      large: { ...kv("large", 300).large, loadedContextTokens: 4_096, heldBytes: 378 * MiB },
    };
    // 59 - 37.8 + 52.8 = 74: it fits; 60 does not.
    expect(short(decideModel(situation(59, ["large"], calmSince, shorter), policy))).toBe(
      "calm switch large>large",
    );
    expect(short(decideModel(situation(60, ["large"], calmSince, shorter), policy))).toBe("hold hold -");
  });
});
