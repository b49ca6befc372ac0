/** Plugins that require each other: who is shed with whom, who is kept, and who comes back first. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decide } from "../../src/scaler/decide.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation, Verdict } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;
const order = ["voice", "android", "discord", "stubs"];
const policy: Policy = {
  order,
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};
const calm: ForecastFacts = {
  state: "ready",
  atMs: 1_000_000,
  valueRatio: 0.5,
  smoothedRatio: 0.5,
  lowerRatio: 0.4,
  upperRatio: 0.6,
};

type Requires = Record<string, string[]>;
type State = PluginFacts["state"];

/** The four of the order and `core`, which the order does not name: 100 MiB each, running unless `states` says so. */
function plugins(requires: Requires, states: Record<string, State> = {}): PluginFacts[] {
  return ["core", ...order].map((name) => ({
    name,
    state: states[name] ?? "running",
    footprintBytes: 100 * MiB,
    learnedBytes: 100 * MiB,
    requires: requires[name] ?? [],
  }));
}

const situation = (usedPercent: number, facts: readonly PluginFacts[]): Situation => ({
  nowMs: 1_000_000,
  measured: { usedBytes: (usedPercent / 100) * budgetBytes, budgetBytes },
  plugins: facts,
  shedding: false,
  lastChangeMs: null,
});

const at = (usedPercent: number, requires: Requires, states: Record<string, State> = {}): Verdict =>
  decide(situation(usedPercent, plugins(requires, states)), calm, policy);
const names = ({ actions }: Verdict) => actions.map(({ plugin }) => plugin);
const because = ({ rejected }: Verdict) =>
  Object.fromEntries(rejected.map((each) => [each.plugin, each.because]));

describe("shedding a plugin that others require", () => {
  const cases: [string, Requires, Record<string, State>, string[]][] = [
    ["takes the one that requires it first", { voice: ["core"] }, {}, ["voice", "core"]],
    [
      "takes those that require it through others first of all",
      { discord: ["android"], android: ["core"] },
      {},
      ["discord", "android", "core"],
    ],
    [
      "takes several in the order of degradation",
      { discord: ["core"], voice: ["core"] },
      {},
      ["voice", "discord", "core"],
    ],
    ["leaves out those that hold no memory", { voice: ["core"] }, { voice: "shed" }, ["core"]],
    [
      "finds those that hold memory behind one that holds none",
      { voice: ["android"], android: ["core"] },
      { android: "absent" },
      ["voice", "core"],
    ],
    ["never takes what the last of the order requires", { stubs: ["core"] }, {}, ["voice"]],
    ["nor what that requires", { stubs: ["voice"], voice: ["core"] }, {}, ["android"]],
    [
      "takes one that requires what is kept, without that",
      { stubs: ["core"], voice: ["core"] },
      {},
      ["voice"],
    ],
  ];
  test.each(cases)("%s", (_, requires, states, expected) => {
    const verdict = at(81, requires, states);
    expect(verdict.rule).toBe("threshold");
    expect(names(verdict)).toEqual(expected);
  });

  test("is one decision, which says who goes with whom and what they hold together", () => {
    const verdict = at(81, { discord: ["core"] });
    expect(verdict.actions).toEqual(
      ["discord", "core"].map((plugin) => ({
        kind: "shed",
        plugin,
        urgent: false,
        expectedBytes: 100 * MiB,
      })),
    );
    expect(verdict.reason).toBe(
      "81.0 % of the budget is used, at or over the shed line of 80.0 %: core, with discord that requires it, which hold 200 MiB together, is the first in the degradation order",
    );
    expect(because(verdict)).toEqual({
      voice: "comes after core in the degradation order",
      android: "comes after core in the degradation order",
      stubs: "the last in the degradation order is never shed",
    });
  });

  test("says what is not known of what they hold", () => {
    const facts = plugins({ discord: ["core"], voice: ["core"] });
    const unknown = (...of: string[]) =>
      decide(
        situation(
          81,
          facts.map((each) => (of.includes(each.name) ? { ...each, footprintBytes: null } : each)),
        ),
        calm,
        policy,
      ).reason;
    expect(unknown("discord")).toContain(
      ": core, with voice and discord that require it, which hold at least 200 MiB together, is the first",
    );
    expect(unknown("discord", "voice", "core")).toContain(
      ": core, with voice and discord that require it, is the first",
    );
  });

  test("names what is kept for the last, and one that waits for what it requires", () => {
    const verdict = at(81, { stubs: ["core"], android: ["discord"] }, { android: "blocked" });
    expect(because(verdict)).toEqual({
      core: "is required by stubs, which is never shed",
      android: "holds no memory: it waits for what it requires",
      discord: "comes after voice in the degradation order",
      stubs: "the last in the degradation order is never shed",
    });
  });

  test("has nothing to shed where the last requires everything", () => {
    const verdict = at(90, { stubs: ["voice", "discord"], discord: ["android", "core"] });
    expect(verdict.rule).toBe("hold");
    expect(verdict.reason).toEndWith("and nothing is left to shed");
    expect(because(verdict).android).toBe("is required by stubs, which is never shed");
  });
});

describe("an emergency", () => {
  test("kills those that require others first, and keeps the last with what it requires", () => {
    const verdict = at(96, { stubs: ["voice"], discord: ["core"], android: ["discord"] });
    expect(names(verdict)).toEqual(["android", "discord", "core"]);
    expect(verdict.actions.every(({ urgent }) => urgent)).toBe(true);
    expect(verdict.reason).toEndWith(": only stubs, with voice that it requires, is kept");
  });

  test("says what is left when nothing can be killed", () => {
    const { rule, reason } = at(96, { stubs: ["core"] }, { voice: "shed", android: "shed", discord: "shed" });
    expect(rule).toBe("hold");
    expect(reason).toEndWith("and nothing but stubs, with core that it requires, is left");
  });
});

describe("restoring", () => {
  const waiting: Record<string, State> = { core: "shed", discord: "blocked" };

  test("waits for what a plugin requires through others", () => {
    const requires = { discord: ["android"], android: ["core"] };
    expect(names(at(30, requires, { core: "shed", android: "absent", discord: "shed" }))).toEqual(["core"]);
  });

  test("counts those that start by themselves with it, and says so", () => {
    const { actions, reason } = at(40, { discord: ["core"] }, waiting);
    expect(actions).toEqual([{ kind: "restore", plugin: "core", urgent: false, expectedBytes: 100 * MiB }]);
    expect(reason).toEndWith(
      "and core fits with its usual 100 MiB, and so does discord, which waits for it, with its usual 100 MiB",
    );
  });

  test("holds where it would fit alone, and they do not", () => {
    expect(names(at(64, { discord: ["core"] }, { core: "shed" }))).toEqual(["core"]);
    const { rule, reason } = at(64, { discord: ["core"] }, waiting);
    expect(rule).toBe("hold");
    expect(reason).toBe(
      "core stays shed: its usual 100 MiB and the 100 MiB of discord, which waits for it, would bring the use to 84.0 %, not under the shed line of 80.0 %",
    );
  });

  test("does not count one that goes on waiting for another shed plugin", () => {
    const states: Record<string, State> = { ...waiting, voice: "shed" };
    expect(at(64, { discord: ["core", "voice"], voice: ["core"] }, states).reason).toContain(
      "and core fits with its usual 100 MiB",
    );
  });
});

describe("what holds for every graph", () => {
  const all = ["extra-a", "extra-b", ...order, "extra-c"];
  const facts = fc.record({
    state: fc.constantFrom<State>("running", "starting", "shed", "blocked", "absent"),
    footprintBytes: fc.option(fc.integer({ min: 0, max: 900 * MiB }), { freq: 8 }),
    learnedBytes: fc.option(fc.integer({ min: 0, max: 90 * MiB })),
    requires: fc.subarray([...all, "missing"], { maxLength: 3 }),
  });
  const used = fc.double({ min: 0, max: 1.3, noNaN: true });
  const anyPlugins = fc
    .record({
      each: fc.array(facts, { minLength: 1, maxLength: all.length }),
      shuffled: fc.shuffledSubarray(all, { minLength: all.length }),
    })
    .map(({ each, shuffled }): PluginFacts[] =>
      each.map((fact, index) => ({ name: shuffled[index] ?? "none", ...fact })),
    );
  const seed = 20_261_125;
  const run = { seed, numRuns: 3_000 };

  /** Everything that `name` requires, found the slow way: by going on until nothing is added. */
  function requirements(name: string, of: readonly PluginFacts[]): Set<string> {
    const found = new Set<string>();
    const known = new Map(of.map((each) => [each.name, each.requires ?? []]));
    for (let size = -1; size !== found.size; ) {
      size = found.size;
      for (const from of [name, ...found])
        for (const required of known.get(from) ?? []) if (known.has(required)) found.add(required);
    }
    return found;
  }
  const holds = ({ state }: PluginFacts) => state === "running" || state === "starting";
  const rank = (name: string) => order.indexOf(name);
  const inOrder = (of: readonly PluginFacts[]) =>
    of.toSorted((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
  const keptOf = (of: readonly PluginFacts[]) => {
    const last = inOrder(of).at(-1)?.name ?? "";
    return new Set([last, ...requirements(last, of)]);
  };
  const check = (holdsFor: (verdict: Verdict, of: PluginFacts[]) => void) =>
    fc.assert(
      fc.property(anyPlugins, used, fc.boolean(), (of, share, shedding) => {
        const verdict = decide({ ...situation(share * 100, of), shedding }, calm, policy);
        holdsFor(verdict, of);
      }),
      run,
    );
  const shedOf = ({ actions }: Verdict) =>
    actions.flatMap(({ kind, plugin }) => (kind === "shed" ? [plugin] : []));

  test("neither the last of the order nor what it requires is ever shed", () =>
    check((verdict, of) => {
      const kept = keptOf(of);
      expect(shedOf(verdict).filter((name) => kept.has(name))).toEqual([]);
    }));

  test("nobody that runs loses what it requires: whoever requires a victim is shed with it", () =>
    check((verdict, of) => {
      const shed = new Set(shedOf(verdict));
      for (const plugin of of)
        if (holds(plugin) && !shed.has(plugin.name))
          expect(requirements(plugin.name, of).intersection(shed)).toEqual(new Set());
    }));

  test("each is shed before what it requires, except in a circle", () =>
    check((verdict, of) => {
      const shed = shedOf(verdict);
      shed.forEach((name, index) => {
        for (const earlier of shed.slice(0, index))
          if (requirements(name, of).has(earlier)) expect(requirements(earlier, of)).toContain(name);
      });
    }));

  test("the bytes that are expected are those that the group holds", () =>
    check(({ actions, rule }, of) => {
      if (actions[0]?.kind !== "shed") return;
      const free = inOrder(of).filter((each) => holds(each) && !keptOf(of).has(each.name));
      const [victim] = free;
      const group = free.filter(
        (each) =>
          rule === "emergency" || each === victim || requirements(each.name, of).has(victim?.name ?? ""),
      );
      const sum = (bytes: readonly (number | null)[]) =>
        bytes.reduce<number>((total, each) => total + (each ?? 0), 0);
      expect(actions).toHaveLength(group.length);
      expect(sum(actions.map(({ expectedBytes }) => expectedBytes))).toBe(
        sum(group.map(({ footprintBytes }) => footprintBytes)),
      );
    }));

  test("every action is on a plugin that there is, and nothing is rejected twice or rejected and done", () =>
    check((verdict, of) => {
      const told = [...verdict.actions, ...verdict.rejected].map(({ plugin }) => plugin);
      expect(new Set(told).size).toBe(told.length);
      expect(new Set(told).difference(new Set(of.map(({ name }) => name)))).toEqual(new Set());
    }));

  test("the same situation gives the same verdict, and the same victims however the plugins are listed", () =>
    fc.assert(
      fc.property(anyPlugins, used, (of, share) => {
        const one = situation(share * 100, of);
        const before = structuredClone(one);
        expect(decide(structuredClone(one), calm, policy)).toEqual(decide(one, calm, policy));
        expect(one).toEqual(before);
        const turned = decide(situation(share * 100, of.toReversed()), calm, policy);
        expect(shedOf(turned).toSorted()).toEqual(shedOf(decide(one, calm, policy)).toSorted());
      }),
      run,
    ));

  test("what was shed comes back, and nothing before what it requires", () => {
    /** Requirements point to earlier plugins only: no circles, as discovery makes sure. */
    const acyclic = anyPlugins.map((of) =>
      of.map((each, index) => {
        const earlier = new Set(of.slice(0, index).map(({ name }) => name));
        const requires = (each.requires ?? []).filter((name) => earlier.has(name));
        return { ...each, state: "running" as State, requires };
      }),
    );
    fc.assert(
      fc.property(acyclic, fc.constantFrom(81, 96), (start, usedPercent) => {
        let of: PluginFacts[] = start;
        const move = (verdict: Verdict, to: State) => {
          const moved = new Set(names(verdict));
          of = of.map((each) => (moved.has(each.name) ? { ...each, state: to } : each));
        };
        move(decide(situation(usedPercent, of), calm, policy), "shed");
        for (let step = 0; step <= all.length; step++) {
          const verdict = decide(situation(10, of), calm, policy);
          for (const name of names(verdict))
            for (const required of requirements(name, of))
              expect(of.find((each) => each.name === required)?.state).toBe("running");
          move(verdict, "running");
        }
        expect(of.filter(({ state }) => state !== "running")).toEqual([]);
      }),
      run,
    );
  });
});
