import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { decide } from "../../src/scaler/decide.ts";
import { drainMs, shedLine } from "../../src/scaler/latest-line.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;
const order = ["scrape", "batch", "web", "db"];

const policyWith = (scaler: object): Policy =>
  policyOf(configSchema.parse({ scaler: { order, ...scaler } }).scaler);
const adaptive = policyWith({ policy: "adaptive" });
const mission = policyWith({});

interface Given {
  mib: number;
  start?: number;
  state?: PluginFacts["state"];
  more?: Partial<PluginFacts>;
}

/** scrape, batch, web, db, in this order. */
const plugins = (...given: Given[]): PluginFacts[] =>
  given.map(({ mib, start, state = "running", more }, index) => ({
    name: order[index] ?? "",
    state,
    footprintBytes: state === "running" ? mib * MiB : null,
    // What runs has grown since its start, to more than it usually holds.
    learnedBytes: (state === "running" ? Math.min(mib, start ?? mib) : mib) * MiB,
    startBytes: start === undefined ? null : start * MiB,
    ...more,
  }));

const four = plugins(
  { mib: 40, start: 40 },
  { mib: 100, start: 90 },
  { mib: 300, start: 50 },
  { mib: 400, start: 400 },
);

const at = (usedPercent: number, more: Partial<Situation> = {}): Situation => ({
  nowMs: 1_000_000,
  measured: { usedBytes: (usedPercent / 100) * budgetBytes, budgetBytes },
  plugins: four,
  shedding: false,
  lastChangeMs: null,
  ...more,
});

const actionsOf = (situation: Situation, policy = adaptive, forecast: ForecastFacts | null = null) => {
  const { rule, actions } = decide(situation, forecast, policy);
  return [rule, ...actions.map(({ kind, plugin, urgent }) => `${kind} ${plugin}${urgent ? " at once" : ""}`)];
};

describe("the latest line", () => {
  test("is the shed line while nothing grows, and lower the faster memory grows, by at most 10 points", () => {
    expect(shedLine(at(50), adaptive)).toBe(0.94);
    // 97 % less 100 MiB/s x 1.5 x 0.5 s of 1,000 MiB.
    expect(shedLine(at(50, { growthPerSecond: 100 * MiB, reclaimMs: 400 }), adaptive)).toBeCloseTo(0.895, 10);
    expect(shedLine(at(50, { growthPerSecond: 5_000 * MiB }), adaptive)).toBeCloseTo(0.84, 10);
    expect(shedLine(at(50, { growthPerSecond: 5_000 * MiB }), mission)).toBe(0.8);
  });

  test("leaves a victim the time until the emergency line less what a kill takes", () => {
    expect(drainMs(at(87, { growthPerSecond: 50 * MiB, reclaimMs: 500 }), adaptive)).toBe(1_500);
    expect(drainMs(at(96, { growthPerSecond: 500 * MiB, reclaimMs: 500 }), adaptive)).toBe(0);
    expect(drainMs(at(90), adaptive)).toBeUndefined();
    const [action] = decide(at(94, { growthPerSecond: 20 * MiB, reclaimMs: 100 }), null, adaptive).actions;
    expect(action).toMatchObject({ kind: "shed", urgent: false, drainMs: 1_400 });
  });
});

describe("who goes", () => {
  const freeing: [string, number, Partial<Situation>, Policy, string[]][] = [
    ["nobody under the line", 93.9, {}, adaptive, ["hold"]],
    // 30 MiB are needed: scrape and batch come back with what they free, web does not.
    ["the least important whose restart frees enough", 94, {}, adaptive, ["threshold", "shed web"]],
    ["the first of the order for mission", 81, {}, mission, ["threshold", "shed scrape"]],
    [
      "the largest",
      94,
      {},
      policyWith({ policy: "adaptive", victims: "largest" }),
      ["threshold", "shed web"],
    ],
    ["the plan at once in an emergency, not everything", 97, {}, adaptive, ["emergency", "shed web at once"]],
  ];
  test.each(freeing)("%s", (_, used, more, policy, expected) => {
    expect(actionsOf(at(used, more), policy)).toEqual(expected);
  });

  test("why not one that is less important is said", () => {
    const because = (policy: Policy) => {
      const { rejected } = decide(at(94), null, policy);
      return Object.fromEntries(rejected.map(({ plugin, because }) => [plugin, because]));
    };
    const little = "frees too little, counting what it takes again when it is back";
    const last = "the last in the degradation order is never shed";
    expect(because(adaptive)).toEqual({ scrape: little, batch: little, db: last });
    const smaller = "holds less than web";
    expect(because(policyWith({ policy: "adaptive", victims: "largest" }))).toEqual({
      scrape: smaller,
      batch: smaller,
      db: last,
    });
  });

  test("spares whose memory is not needed, the more important first", () => {
    const grown = plugins(
      { mib: 60, start: 10 },
      { mib: 100, start: 95 },
      { mib: 300, start: 50 },
      { mib: 400 },
    );
    expect(actionsOf(at(94, { plugins: grown }))).toEqual(["threshold", "shed scrape"]);
    // 56 MiB are needed: scrape frees 50 for good, batch 5, so web alone goes.
    expect(actionsOf(at(96.6, { plugins: grown }))).toEqual(["threshold", "shed web"]);
    const steady = plugins(
      { mib: 60, start: 60 },
      { mib: 100, start: 100 },
      { mib: 300, start: 300 },
      { mib: 400 },
    );
    // Nobody frees anything for good: who goes stays away, and the least important holds enough.
    expect(actionsOf(at(94, { plugins: steady }))).toEqual(["threshold", "shed scrape"]);
  });

  test("one that is as large as it usually is frees nothing for good, whatever its start took; one that grows does", () => {
    const batch = (growthPerSecond: number | null) =>
      plugins(
        { mib: 10, start: 10 },
        { mib: 150, start: 95, more: { learnedBytes: 150 * MiB, growthPerSecond } },
        { mib: 250, start: 60 },
        { mib: 400 },
      );
    const shed = (growthPerSecond: number | null) =>
      actionsOf(at(94, { plugins: batch(growthPerSecond) }))[1];
    expect(shed(null)).toBe("shed web");
    // A hundredth of it in a second.
    expect(shed(1.5 * MiB)).toBe("shed web");
    expect(shed(1.6 * MiB)).toBe("shed batch");
  });

  test("of several that are needed together, the one that frees most goes first: it may be enough", () => {
    const grown = plugins(
      { mib: 41, start: 29 },
      { mib: 175, start: 49 },
      { mib: 60, start: 50 },
      { mib: 400 },
    );
    // 133 MiB are needed: 37 to the target and two seconds of growth; batch frees 126, scrape 12.
    const { actions, plan } = decide(at(94.1, { plugins: grown, growthPerSecond: 48 * MiB }), null, adaptive);
    expect(actions.map(({ plugin }) => plugin)).toEqual(["batch"]);
    expect(plan?.steps[0]?.plugin).toBe("batch");
  });

  test("the culprit is the one that makes at least half of the rise, among the first three", () => {
    const policy = policyWith({ victims: "culprit" });
    const grows = (name: string, perSecond: number) =>
      four.map((each) => (each.name === name ? { ...each, growthPerSecond: perSecond * MiB } : each));
    const shed = (name: string, perSecond: number) =>
      actionsOf(at(82, { plugins: grows(name, perSecond), growthPerSecond: 10 * MiB }), policy)[1];
    expect(shed("web", 5)).toBe("shed web");
    expect(shed("web", 4.9)).toBe("shed scrape");
    expect(shed("db", 10)).toBe("shed scrape");
  });

  test("the protected and those of higher priority stay longer than the order says", () => {
    const as = (name: string, more: Partial<PluginFacts>) =>
      four.map((each) => (each.name === name ? { ...each, ...more } : each));
    expect(actionsOf(at(82, { plugins: as("scrape", { protect: true }) }), mission)).toEqual([
      "threshold",
      "shed batch",
    ]);
    expect(actionsOf(at(82, { plugins: as("scrape", { priority: 5 }) }), mission)).toEqual([
      "threshold",
      "shed batch",
    ]);
    expect(actionsOf(at(82, { plugins: as("db", { priority: -5 }) }), mission)).toEqual([
      "threshold",
      "shed db",
    ]);
    const { reason, rejected } = decide(at(96, { plugins: as("web", { protect: true }) }), null, mission);
    expect(reason).toEndWith("only db, and web, protected, is kept");
    expect(rejected).toEqual([]);
    const because = decide(at(82, { plugins: as("web", { protect: true }) }), null, mission).rejected;
    expect(because.find(({ plugin }) => plugin === "web")?.because).toBe("is protected by its manifest");
  });

  test("the plan names who follows, and where that leads", () => {
    const { plan } = decide(at(85), null, mission);
    expect(plan?.targetRatio).toBeCloseTo(0.75, 10);
    expect(plan?.steps.map(({ plugin, afterRatio }) => [plugin, afterRatio.toFixed(2)])).toEqual([
      ["scrape", "0.81"],
      ["batch", "0.71"],
    ]);
  });
});

describe("what comes back", () => {
  const away = plugins(
    { mib: 300, start: 40, state: "shed" },
    { mib: 100 },
    { mib: 300, state: "shed" },
    { mib: 400 },
  );

  test("is the first that fits with what it takes to start, whatever the forecast says that has not proved itself", () => {
    const wild = {
      state: "ready",
      atMs: 0,
      valueRatio: 2,
      smoothedRatio: 2,
      lowerRatio: 1,
      upperRatio: 3,
    } as const;
    // web is more important, but its 300 MiB do not fit; scrape starts with 40.
    expect(actionsOf(at(80, { plugins: away }), adaptive, wild)).toEqual(["restore", "restore scrape"]);
    expect(actionsOf(at(60, { plugins: away }), adaptive, wild)).toEqual(["restore", "restore web"]);
    const sure = { ...wild, calibration: "calibrated" } as const;
    expect(actionsOf(at(60, { plugins: away }), adaptive, sure)).toEqual(["hold"]);
    // What was not asked is no part of the reason.
    const reason = (forecast: ForecastFacts) => decide(at(60, { plugins: away }), forecast, adaptive).reason;
    expect(reason(wild)).toStartWith("60.0 % of the budget is used, and web fits");
    expect(reason({ ...sure, upperRatio: 0.9 })).toStartWith(
      "60.0 % of the budget is used, the forecast's upper bound is 90.0 %, and web fits",
    );
  });

  test("tells of each that stays its own reason, or who comes first", () => {
    const three = plugins(
      { mib: 40, start: 40, state: "shed" },
      { mib: 60, start: 50, state: "shed" },
      { mib: 300, state: "shed" },
      { mib: 400 },
    );
    const { actions, rejected } = decide(at(80, { plugins: three }), null, adaptive);
    expect(actions.map(({ plugin }) => plugin)).toEqual(["batch"]);
    expect(rejected.map(({ plugin, because }) => [plugin, because])).toEqual([
      ["web", expect.stringContaining("its usual 300 MiB would bring the use to 110.0 %")],
      ["scrape", "batch is restored first"],
    ]);
  });

  test("that was away for five minutes is tried with what it usually holds", () => {
    const once = (awayMs: number) =>
      plugins(
        { mib: 50, start: 300, state: "shed", more: { awayMs } },
        { mib: 100 },
        { mib: 100 },
        { mib: 400 },
      );
    expect(actionsOf(at(75, { plugins: once(299_999) }))).toEqual(["hold"]);
    expect(actionsOf(at(75, { plugins: once(300_000) }))).toEqual(["restore", "restore scrape"]);
  });

  test("waits while others grow into the room, are promised it, or the time of day will take it", () => {
    expect(actionsOf(at(80, { plugins: away, growthPerSecond: 90 * MiB }))).toEqual(["hold"]);
    expect(actionsOf(at(80, { plugins: away, reservedBytes: 80 * MiB }))).toEqual(["hold"]);
    expect(actionsOf(at(80, { plugins: away, ahead: { riseRatio: 0.08, atMs: 2_000_000 } }))).toEqual([
      "hold",
    ]);
  });

  test("is put off when it brought the pressure back, and the reason says for how long", () => {
    const put = away.map((each) => ({ ...each, putOffUntilMs: 1_004_000 }));
    const { reason, actions } = decide(at(50, { plugins: put }), null, adaptive);
    expect(actions).toEqual([]);
    expect(reason).toContain("put off for another 4 s");
    expect(actionsOf(at(50, { plugins: put, nowMs: 1_004_000 }))).toEqual(["restore", "restore web"]);
  });
});

describe("early signs", () => {
  const signs: [string, Partial<Situation>][] = [
    ["stall", { stallPercent: 10 }],
    ["load", { load: { perSecond: 50, recentPerSecond: 50, usualPerSecond: 40, rising: true } }],
    ["spike", { load: { perSecond: 9, recentPerSecond: 8, usualPerSecond: 4, rising: false } }],
    ["time-of-day", { ahead: { riseRatio: 0.1, atMs: 1_500_000 } }],
  ];
  const policy = policyWith({ triggers: { load: 50 } });

  test.each(signs)(
    "%s sheds one plugin, only where memory is short already, and not again at once",
    (rule, facts) => {
      expect(actionsOf(at(71, facts), policy)).toEqual([rule, "shed scrape"]);
      expect(actionsOf(at(69.9, { ...facts, lastChangeMs: null }), policy)[0]).not.toBe(rule);
      expect(actionsOf(at(71, { ...facts, lastChangeMs: 970_001 }), policy)).toEqual(["hold"]);
    },
  );

  const none: [string, Partial<Situation>][] = [
    ["a stall under its line", { stallPercent: 9.9 }],
    [
      "many requests that do not rise",
      { load: { perSecond: 50, recentPerSecond: 50, usualPerSecond: 40, rising: false } },
    ],
    [
      "few requests that rise",
      { load: { perSecond: 49, recentPerSecond: 49, usualPerSecond: 40, rising: true } },
    ],
    [
      "twice of next to nothing",
      { load: { perSecond: 1, recentPerSecond: 0.9, usualPerSecond: 0.1, rising: false } },
    ],
    [
      "no usual rate yet",
      { load: { perSecond: 40, recentPerSecond: 40, usualPerSecond: null, rising: false } },
    ],
    ["a peak that fits", { ahead: { riseRatio: 0.08, atMs: 1_500_000 } }],
  ];
  test.each(none)("%s does not", (_, facts) => {
    expect(actionsOf(at(71, facts), policy)).toEqual(["hold"]);
  });

  test("each can be switched off", () => {
    const off = policyWith({ triggers: { stall: "100%", spike: false, timeOfDay: false } });
    for (const [, facts] of signs) expect(actionsOf(at(71, facts), off)).toEqual(["hold"]);
  });
});
