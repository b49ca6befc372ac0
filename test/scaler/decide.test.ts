import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decide } from "../../src/scaler/decide.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;

const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};

type State = PluginFacts["state"];
const letters: Record<string, State> = { r: "running", t: "starting", s: "shed", a: "absent" };

/** Four plugins of 100 MiB each; `states` holds a letter for each in degradation order. */
const plugins = (states: string, learnedMiB: number | null = 100): PluginFacts[] =>
  policy.order.map((name, index) => ({
    name,
    state: letters[states[index] ?? "a"] ?? "absent",
    footprintBytes: 100 * MiB,
    learnedBytes: learnedMiB === null ? null : learnedMiB * MiB,
  }));

const situation = (usedPercent: number, states: string, more: Partial<Situation> = {}): Situation => ({
  nowMs: 1_000_000,
  measured: { usedBytes: (usedPercent / 100) * budgetBytes, budgetBytes },
  plugins: plugins(states),
  shedding: false,
  lastChangeMs: null,
  ...more,
});

const forecast = (smoothedPercent: number, more: Partial<ForecastFacts> = {}): ForecastFacts => ({
  state: "ready",
  atMs: 1_000_000,
  valueRatio: smoothedPercent / 100,
  smoothedRatio: smoothedPercent / 100,
  lowerRatio: smoothedPercent / 100 - 0.02,
  upperRatio: smoothedPercent / 100 + 0.02,
  ...more,
});

const calm = forecast(50);

describe("what decide answers", () => {
  const cases: [string, Situation, ForecastFacts | null, string, string[]][] = [
    ["nothing while calm", situation(50, "rrrr"), calm, "hold", []],
    ["nothing just under the shed line", situation(79.9, "rrrr"), calm, "hold", []],
    ["the first plugin at the shed line", situation(80, "rrrr"), calm, "threshold", ["shed voice"]],
    ["the next when the first is gone", situation(80, "srrr"), calm, "threshold", ["shed android"]],
    ["a plugin that is still starting", situation(80, "strr"), calm, "threshold", ["shed android"]],
    ["nothing when only the last is left", situation(94, "sssr"), calm, "hold", []],
    ["the first plugin on forecast alone", situation(60, "rrrr"), forecast(80), "forecast", ["shed voice"]],
    ["nothing on a cold forecast", situation(60, "rrrr"), forecast(99, { state: "cold" }), "hold", []],
    [
      "nothing on a line to far over the budget through a few seconds",
      situation(57, "rrrr"),
      forecast(1_463, { reachShare: 0.015 }),
      "hold",
      [],
    ],
    [
      "the first plugin on a line that reaches the shed line as far ahead as it is borne out",
      situation(57, "rrrr"),
      forecast(103, { reachShare: 0.5 }),
      "forecast",
      ["shed voice"],
    ],
    ["nothing without a forecast", situation(60, "rrrr"), null, "hold", []],
    [
      "all but the last in an emergency, in order",
      situation(95, "rrrr"),
      calm,
      "emergency",
      ["shed voice", "shed android", "shed discord"],
    ],
    ["what is left in an emergency", situation(99, "srsr"), calm, "emergency", ["shed android"]],
    [
      "more, until it is under shed less margin",
      situation(75, "srrr", { shedding: true }),
      calm,
      "continue",
      ["shed android"],
    ],
    ["no more once it is under that", situation(74.9, "srrr", { shedding: true }), calm, "hold", []],
    ["a restore at the restore line", situation(65, "srrr"), calm, "restore", ["restore voice"]],
    ["no restore over it", situation(65.1, "srrr"), calm, "hold", []],
    ["the last shed first when restoring", situation(40, "sssr"), calm, "restore", ["restore discord"]],
    ["no restore while another starts", situation(40, "sstr"), calm, "hold", []],
    ["no restore without a forecast", situation(40, "srrr"), null, "hold", []],
    [
      "no restore when the upper bound reaches the shed line",
      situation(40, "srrr"),
      forecast(60, { upperRatio: 0.8 }),
      "hold",
      [],
    ],
    [
      "a restore when the upper bound stays just under it",
      situation(40, "srrr"),
      forecast(60, { upperRatio: 0.799 }),
      "restore",
      ["restore voice"],
    ],
    ["no restore within the dwell", situation(40, "srrr", { lastChangeMs: 970_001 }), calm, "hold", []],
    [
      "a restore once the dwell is over",
      situation(40, "srrr", { lastChangeMs: 970_000 }),
      calm,
      "restore",
      ["restore voice"],
    ],
    [
      "no restore on a forecast older than the last change",
      situation(40, "srrr", { lastChangeMs: 900_000 }),
      forecast(40, { atMs: 899_999 }),
      "hold",
      [],
    ],
    [
      "no restore of what would not fit",
      situation(60, "srrr", { plugins: plugins("srrr", 200) }),
      calm,
      "hold",
      [],
    ],
    [
      "a restore of what fits by a byte",
      situation(60, "srrr", { plugins: plugins("srrr", 199.999) }),
      calm,
      "restore",
      ["restore voice"],
    ],
    [
      "no shed on forecast alone within the dwell",
      situation(60, "rrrr", { lastChangeMs: 970_001 }),
      forecast(90),
      "hold",
      [],
    ],
    [
      "but a measured one at once",
      situation(80, "rrrr", { lastChangeMs: 970_001 }),
      forecast(90),
      "threshold",
      ["shed voice"],
    ],
  ];
  test.each(cases)("%s", (_, at, predicted, rule, actions) => {
    const verdict = decide(at, predicted, policy);
    expect(verdict.rule).toBe(rule as typeof verdict.rule);
    expect(verdict.actions.map(({ kind, plugin }) => `${kind} ${plugin}`)).toEqual(actions);
  });

  test("an emergency is reached though the shed line is crossed too, and is urgent", () => {
    const verdict = decide(situation(96, "rrrr"), forecast(99), policy);
    expect(verdict.rule).toBe("emergency");
    expect(verdict.actions.every(({ urgent }) => urgent)).toBe(true);
  });

  test("what a plugin requires is restored before it, whatever the order says", () => {
    const shed = plugins("sssr").map((each) =>
      each.name === "discord" ? { ...each, requires: ["voice"] } : each,
    );
    const { actions } = decide(situation(30, "sssr", { plugins: shed }), calm, policy);
    expect(actions.map(({ plugin }) => plugin)).toEqual(["android"]);
    const two = shed.map((each) => (each.name === "android" ? { ...each, requires: ["voice"] } : each));
    expect(decide(situation(30, "sssr", { plugins: two }), calm, policy).actions[0]?.plugin).toBe("voice");
  });

  test("a plugin that the order does not name goes first, by name", () => {
    const extra = ["zeta", "beta"].map(
      (name): PluginFacts => ({ name, state: "running", footprintBytes: 1, learnedBytes: 1 }),
    );
    const at = situation(85, "rrrr", { plugins: [...plugins("rrrr"), ...extra] });
    expect(decide(at, calm, policy).actions[0]?.plugin).toBe("beta");
  });

  test("it says in words what it did not do, and why", () => {
    const { reason, rejected } = decide(situation(81, "srrr"), calm, policy);
    expect(reason).toBe(
      "81.0 % of the budget is used, at or over the shed line of 80.0 %: android, which holds 100 MiB, is the first in the degradation order",
    );
    expect(Object.fromEntries(rejected.map(({ plugin, because }) => [plugin, because]))).toEqual({
      voice: "is shed already",
      discord: "comes after android in the degradation order",
      stubs: "the last in the degradation order is never shed",
    });
  });
});

describe("what holds for every situation", () => {
  const facts = fc.record({
    state: fc.constantFrom<State>("running", "starting", "shed", "absent"),
    footprintBytes: fc.option(fc.integer({ min: 0, max: 900 * MiB })),
    learnedBytes: fc.option(fc.integer({ min: 0, max: 900 * MiB })),
  });
  const share = fc.double({ min: 0, max: 1.3, noNaN: true });
  const anySituation = fc
    .record({
      states: fc.array(facts, { minLength: 1, maxLength: 7 }),
      used: share,
      shedding: fc.boolean(),
      lastChangeMs: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
    })
    .map(({ states, used, ...rest }): Situation => {
      const names = [...policy.order.toReversed(), "extra-a", "extra-b", "extra-c"];
      return {
        nowMs: 1_000_000,
        measured: { usedBytes: used * budgetBytes, budgetBytes },
        plugins: states.map((each, index) => ({ name: names[index] ?? "none", ...each })),
        ...rest,
      };
    });
  const anyForecast = fc.option(
    fc.record({
      state: fc.constantFrom<ForecastFacts["state"]>("cold", "ready"),
      atMs: fc.integer({ min: 0, max: 1_000_000 }),
      valueRatio: share,
      smoothedRatio: share,
      lowerRatio: share,
      upperRatio: share,
    }),
  );
  const seed = 20_261_121;
  const holds = (check: (at: Situation, predicted: ForecastFacts | null) => void) => {
    console.log(`seed ${seed}`);
    fc.assert(fc.property(anySituation, anyForecast, check), { seed, numRuns: 3_000 });
  };
  const rank = (name: string) => policy.order.indexOf(name);
  const lastOf = (at: Situation) =>
    at.plugins.map(({ name }) => name).sort((a, b) => rank(b) - rank(a) || (a < b ? 1 : -1))[0];

  test("the last of the order is never shed", () =>
    holds((at, predicted) => {
      const shed = decide(at, predicted, policy).actions.filter(({ kind }) => kind === "shed");
      expect(shed.map(({ plugin }) => plugin)).not.toContain(lastOf(at) ?? "");
    }));

  test("one step never sheds and restores", () =>
    holds((at, predicted) => {
      expect(new Set(decide(at, predicted, policy).actions.map(({ kind }) => kind)).size).toBeLessThanOrEqual(
        1,
      );
    }));

  test("the order is respected: nothing that holds memory stands before a victim", () =>
    holds((at, predicted) => {
      const { actions } = decide(at, predicted, policy);
      const victims = actions.filter(({ kind }) => kind === "shed").map(({ plugin }) => plugin);
      if (victims.length === 0) return;
      const before = at.plugins.filter(
        ({ name, state }) =>
          (state === "running" || state === "starting") &&
          !victims.includes(name) &&
          rank(name) < rank(victims.at(-1) ?? ""),
      );
      expect(before).toEqual([]);
      expect(victims).toEqual(victims.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)));
    }));

  test("outside an emergency there is at most one victim and one restore", () =>
    holds((at, predicted) => {
      const { rule, actions } = decide(at, predicted, policy);
      if (rule !== "emergency") expect(actions.length).toBeLessThanOrEqual(1);
    }));

  test("an emergency is always reached at its line, whatever the forecast says", () =>
    holds((at, predicted) => {
      const over = at.measured.usedBytes / at.measured.budgetBytes >= policy.emergencyRatio;
      const victims = at.plugins.filter(
        ({ name, state }) => (state === "running" || state === "starting") && name !== lastOf(at),
      );
      const { rule, actions } = decide(at, predicted, policy);
      expect(rule === "emergency").toBe(over && victims.length > 0);
      if (rule === "emergency") expect(actions.length).toBe(victims.length);
    }));

  test("nothing is restored on forecast alone: measured, upper bound and footprint must all fit", () =>
    holds((at, predicted) => {
      const [action] = decide(at, predicted, policy).actions;
      if (action?.kind !== "restore") return;
      const { usedBytes } = at.measured;
      const learned = at.plugins.find(({ name }) => name === action.plugin)?.learnedBytes ?? 0;
      expect(usedBytes / budgetBytes).toBeLessThanOrEqual(policy.restoreRatio);
      expect(predicted?.upperRatio).toBeLessThan(policy.shedRatio);
      expect((usedBytes + learned) / budgetBytes).toBeLessThan(policy.shedRatio);
    }));

  test("the same situation gives the same verdict, and is left as it was", () =>
    holds((at, predicted) => {
      const before = structuredClone(at);
      expect(decide(at, predicted, policy)).toEqual(decide(structuredClone(at), predicted, policy));
      expect(at).toEqual(before);
    }));
});
