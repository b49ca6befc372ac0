import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { owedBytes } from "../../src/scaler/ledger.ts";
import { type Promised, type RoomFacts, type RoomRequest, roomFor } from "../../src/scaler/room.ts";
import type { PluginFacts, Policy } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};

const plugin = (name: string, mib: number, more: Partial<PluginFacts> = {}): PluginFacts => ({
  name,
  state: "running",
  footprintBytes: mib * MiB,
  learnedBytes: mib * MiB,
  ...more,
});
const promise = (kind: Promised["kind"], who: string, mib: number, takenMib = 0): Promised => ({
  kind,
  who,
  bytes: mib * MiB,
  takenBytes: takenMib * MiB,
  untilMs: 0,
});

interface Scene {
  usedMiB: number;
  plugins?: PluginFacts[];
  promised?: Promised[];
  shedding?: boolean;
  kind?: Policy["kind"];
}

const facts = ({ usedMiB, plugins = [], promised = [], shedding = false, kind }: Scene): RoomFacts => ({
  situation: {
    nowMs: 0,
    measured: { usedBytes: usedMiB * MiB, budgetBytes: 1_000 * MiB },
    plugins,
    shedding,
    lastChangeMs: null,
  },
  promised,
  forecast: null,
  horizonMs: 300_000,
  policy: kind ? { ...policy, kind } : policy,
});

const ask = (mib: number, importance: RoomRequest["importance"] = null): RoomRequest => ({
  bytes: mib * MiB,
  withinMs: 30_000,
  importance,
});

describe("what is answered", () => {
  const four = [plugin("voice", 100), plugin("android", 200), plugin("discord", 50), plugin("stubs", 10)];
  const running = { usedMiB: 700, plugins: four };
  const table: [string, RoomRequest, Scene, string][] = [
    ["fits", ask(99), running, "admit"],
    ["reaches the line", ask(100), running, "refuse"],
    ["does not fit beside a promise", ask(60), { ...running, promised: [promise("lease", "b", 50)] }, "wait"],
    [
      "fits beside what is taken",
      ask(60),
      { ...running, promised: [promise("lease", "b", 50, 40)] },
      "admit",
    ],
    ["while memory is being shed", ask(1), { ...running, shedding: true }, "wait"],
    ["over the line", ask(1), { ...running, usedMiB: 800 }, "refuse"],
    ["over the line, though others would go", ask(1, 5), { ...running, usedMiB: 800 }, "refuse"],
    ["less important ones free enough", ask(150, 1), running, "shed-first"],
    ["nobody is less important", ask(150, 0), running, "refuse"],
    ["those before android free enough", ask(150, "android"), running, "shed-first"],
    ["those before android do not", ask(200, "android"), running, "refuse"],
    ["nobody comes before voice", ask(150, "voice"), running, "refuse"],
    ["all that may go are not enough", ask(450, 1), running, "refuse"],
  ];
  test.each(table)("%s", (_, request, scene, decision) => {
    expect(roomFor(request, facts(scene)).decision).toBe(decision as "admit");
  });
});

describe("who makes room", () => {
  const stepsOf = (request: RoomRequest, scene: Scene): unknown => {
    const answer = roomFor(request, facts(scene));
    return answer.decision === "shed-first"
      ? answer.victims.plan.steps.map(({ plugin: name }) => name)
      : null;
  };

  test("are the first of the order, as many as are needed", () => {
    const plugins = [
      plugin("voice", 100),
      plugin("android", 200),
      plugin("discord", 50),
      plugin("stubs", 10),
    ];
    expect(stepsOf(ask(150, 1), { usedMiB: 700, plugins })).toEqual(["voice"]);
    expect(stepsOf(ask(250, 1), { usedMiB: 700, plugins })).toEqual(["voice", "android"]);
    expect(stepsOf(ask(250, 1), { usedMiB: 700, plugins, kind: "adaptive" })).toEqual(["voice", "android"]);
  });

  test("are none that are as important, protected, or required by such", () => {
    const more = { priority: 3 };
    const plugins = [plugin("voice", 300, more), plugin("android", 300), plugin("stubs", 10)];
    expect(stepsOf(ask(150, 3), { usedMiB: 700, plugins })).toEqual(["android"]);
    expect(stepsOf(ask(150, 4), { usedMiB: 700, plugins })).toEqual(["android"]);
    const core = [
      plugin("core", 300),
      plugin("voice", 300, { ...more, requires: ["core"] }),
      plugin("stubs", 1),
    ];
    expect(stepsOf(ask(150, 3), { usedMiB: 700, plugins: core })).toBeNull();
    const kept = [plugin("voice", 300, { protect: true }), plugin("stubs", 10)];
    expect(stepsOf(ask(150, 3), { usedMiB: 700, plugins: kept })).toBeNull();
  });
});

test("who has it is told: promises and plugins with their bytes, the largest first", () => {
  const plugins = [plugin("voice", 100), plugin("stubs", 10), plugin("gone", 90, { state: "shed" })];
  const promised = [
    promise("start", "android", 80, 20),
    promise("lease", "backup", 200),
    promise("copy", "x", 5, 5),
  ];
  const answer = roomFor(ask(100), facts({ usedMiB: 500, plugins, promised }));
  expect(answer).toMatchObject({
    decision: "wait",
    availableBytes: 40 * MiB,
    blockedBy: [
      { kind: "rest", name: null, bytes: 390 * MiB },
      { kind: "lease", name: "backup", bytes: 200 * MiB },
      { kind: "plugin", name: "voice", bytes: 100 * MiB },
      { kind: "start", name: "android", bytes: 60 * MiB },
      { kind: "plugin", name: "stubs", bytes: 10 * MiB },
    ],
    reason:
      "there is no room: 86.0 % of the budget would be used, not under the shed line of 80.0 %; the lease of backup 200 MiB, the start of android 60.0 MiB, what is no plugin 390 MiB",
  });
});

test("whatever is asked, what is admitted fits, what is available is never negative, and a plan never takes what is as important", () => {
  const mib = fc.integer({ min: 0, max: 1_200 });
  const plugins = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom("voice", "android", "discord", "stubs", "a", "b"),
      mib,
      state: fc.constantFrom<PluginFacts["state"]>("running", "starting", "shed", "absent"),
      priority: fc.integer({ min: -2, max: 2 }),
      requires: fc.uniqueArray(fc.constantFrom("voice", "android", "a"), { maxLength: 2 }),
    }),
    { selector: ({ name }) => name },
  );
  const kinds = fc.constantFrom<Promised["kind"]>("start", "copy", "lease");
  const promises = fc.array(fc.record({ kind: kinds, mib, takenMib: mib }), { maxLength: 5 });
  fc.assert(
    fc.property(
      fc.record({ plugins, promises, usedMiB: mib, shedding: fc.boolean(), bytes: mib }),
      fc.option(fc.integer({ min: -3, max: 3 })),
      (scene, importance) => {
        const asked = facts({
          usedMiB: scene.usedMiB,
          shedding: scene.shedding,
          plugins: scene.plugins.map(({ mib: held, ...each }) => plugin(each.name, held, each)),
          promised: scene.promises.map((each) => promise(each.kind, "x", each.mib, each.takenMib)),
        });
        const answer = roomFor(ask(scene.bytes, importance), asked);
        const owed = asked.promised.reduce((sum, each) => sum + owedBytes(each), 0);
        const lineBytes = 800 * MiB;
        const fits = scene.usedMiB * MiB + owed + scene.bytes * MiB < lineBytes;
        const short = scene.shedding || scene.usedMiB >= 800;
        expect(answer.promisedBytes).toBe(owed);
        expect(answer.availableBytes).toBeGreaterThanOrEqual(0);
        expect(answer.decision === "admit").toBe(fits && !short);
        if (answer.decision !== "shed-first") return;
        expect(importance).not.toBeNull();
        const gone = answer.victims.plan.steps.map(({ plugin: name }) => name);
        for (const each of scene.plugins)
          if (gone.includes(each.name)) expect(each.priority).toBeLessThan(importance ?? -Infinity);
        expect(answer.victims.plan.steps.at(-1)?.afterRatio).toBeLessThan(0.8);
      },
    ),
    { seed: 20_261_130, numRuns: 2_000 },
  );
});
