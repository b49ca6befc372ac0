import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decideModel } from "../../src/models/ladder.ts";
import { ladderPolicy as policy } from "../../src/models/ladder-facts.ts";
import { loadPlan } from "../../src/models/ladder-orders.ts";
import { endOf, LadderHost, MiB, type RungName } from "./ladder-host.ts";
import { calmSince, model, situation } from "./ladder-situations.ts";

const seed = 815;
const byPerson = { unloadedByPerson: true as const };
const pinned = { pinned: true as const };
const said = (...args: Parameters<typeof situation>): string => {
  const { rule, action, model: about } = decideModel(situation(...args), policy);
  return `${rule} ${action} ${about}`;
};

describe("what a person ordered, decided", () => {
  test.each([
    [
      "unloaded, idle: it goes",
      said(50, ["large"], {}, { large: { state: "ready", ...byPerson } }),
      "ordered unload large",
    ],
    [
      "unloaded, in use: it finishes",
      said(
        50,
        ["large"],
        {},
        { large: { ...model("large", { state: "ready" }), generating: 1, ...byPerson } },
      ),
      "finish hold large",
    ],
    [
      "unloaded: the next one is loaded, also after calm",
      said(20, [], calmSince, { large: byPerson }),
      "fits load medium",
    ],
    [
      "unloaded: no way down leads to it",
      said(85, ["large"], {}, { medium: byPerson }),
      "threshold switch small",
    ],
    [
      "pinned under what is loaded: loaded beside it",
      said(50, ["large"], {}, { small: pinned }),
      "ordered switch small",
    ],
    [
      "pinned, and loaded: what is better goes",
      said(60, ["large", "small"], {}, { small: { ...model("small", { state: "ready" }), ...pinned } }),
      "ordered unload large",
    ],
    [
      "pinned: no upgrade",
      said(20, ["small"], calmSince, { small: { ...model("small", { state: "ready" }), ...pinned } }),
      "hold hold null",
    ],
    [
      "pinned, and slow: it stays",
      said(
        50,
        ["large"],
        {},
        {
          large: {
            ...model("large", { state: "ready" }),
            ...pinned,
            tokensPerSecond: 1,
            slowestTokensPerSecond: 2,
          },
        },
      ),
      "hold hold null",
    ],
    [
      "pinned, over its line: it gives way",
      said(85, ["large"], {}, { large: { ...model("large", { state: "ready" }), ...pinned } }),
      "threshold switch medium",
    ],
    [
      "pinned, in an emergency: it goes",
      said(96, ["large"], {}, { large: { ...model("large", { state: "ready" }), ...pinned } }),
      "emergency unload large",
    ],
    [
      "pinned, given up before: back after calm",
      said(20, ["small"], calmSince, { large: pinned }),
      "calm switch large",
    ],
  ])("%s", (_, got, expected) => {
    expect(got).toBe(expected);
  });

  test.each([
    ["beside", 30, ["small"], "load"],
    ["in place of an idle one", 40, ["small"], "switch"],
    ["not at all", 50, ["small"], null],
    ["alone", 34, [], "load"],
  ] as const)("loading fits %s", (_, used, loaded, action) => {
    const plan = loadPlan("large", situation(used, [...loaded]), policy);
    expect(plan.ok ? plan.verdict.action : null).toBe(action);
    if (!plan.ok) expect(plan.blockedBy.length).toBeGreaterThan(0);
  });
});

describe("what a person ordered, on a live host", () => {
  test("an unload lets the answer finish, and lasts until a load", async () => {
    const host = new LadderHost({ large: { answerTokens: 50 } });
    await host.run(60_000);
    const { parts, done } = host.ask();
    await host.run(1_000);
    expect(host.manager.unload("large")).toEqual({ ok: true });
    const next = host.ask();
    await host.run(30_000);
    await Promise.all([done, next.done]);
    expect(endOf(parts)).toMatchObject({ finishReason: "stop", model: "large" });
    expect(endOf(next.parts)).toMatchObject({ finishReason: "stop", model: "medium" });
    const named = host.ask({}, "large");
    await host.run(600_000);
    await named.done;
    expect(named.parts[0]).toMatchObject({ model: "medium", insteadOf: "large" });
    expect(host.ready).toBe("medium");
    expect(host.manager.load("large")).toEqual({ ok: true });
    expect(host.manager.load("small")).toMatchObject({ ok: false, code: "changing" });
    await host.run(5_000);
    expect(host.ready).toBe("large medium");
  });

  test("with every model unloaded, a request is told so at once", async () => {
    const host = new LadderHost();
    await host.run(20_000);
    for (const name of ["large", "medium", "small"]) host.manager.unload(name);
    await host.run(20_000);
    expect([host.ready, host.usedBytes]).toEqual(["", 0]);
    const { parts, done } = host.ask();
    await done;
    expect(endOf(parts).refusal).toMatchObject({ kind: "unloaded" });
  });

  test("a pin gives way to memory, and is taken again after calm", async () => {
    const host = new LadderHost();
    await host.run(60_000);
    expect(host.manager.pin("medium")).toEqual({ ok: true });
    await host.run(60_000);
    expect(host.ready).toBe("medium");
    host.othersBytes = 650 * MiB;
    await host.run(60_000);
    expect(host.ready).toBe("small");
    host.othersBytes = 0;
    await host.run(900_000);
    expect(host.ready).toBe("medium");
    host.manager.pin(null);
    await host.run(30_000);
    expect(host.ready).toBe("large");
  });

  test("a pin that does not fit now is kept, and says what is in the way", async () => {
    const host = new LadderHost();
    host.othersBytes = 600 * MiB;
    await host.run(60_000);
    expect(host.ready).toBe("small");
    expect(host.manager.pin("large")).toMatchObject({ ok: false, code: "no-room" });
    host.othersBytes = 100 * MiB;
    await host.run(400_000);
    expect(host.ready).toBe("large");
  });

  test("are told whenever one is given, and the next run obeys them", async () => {
    const host = new LadderHost();
    host.othersBytes = 100 * MiB;
    await host.run(10_000);
    host.manager.unload("large");
    host.manager.pin("small");
    expect([...host.orders]).toEqual([
      ["large", "unloaded"],
      ["small", "pinned"],
    ]);
    const next = new LadderHost();
    next.othersBytes = 100 * MiB;
    next.manager.obey(new Map([...host.orders, ["gone", "unloaded"]]));
    await next.run(600_000);
    expect(next.ready).toBe("small");
    next.manager.pin(null);
    expect([...next.orders]).toEqual([["large", "unloaded"]]);
    await next.run(600_000);
    expect(next.ready).toBe("medium");
    next.manager.load("large");
    expect([...next.orders]).toEqual([]);
  });

  test("any orders at any time leave one change at a time, and nothing behind", async () => {
    const names = ["large", "medium", "small"] as const;
    const step = fc.record({
      others: fc.integer({ min: 0, max: 95 }),
      order: fc.constantFrom("load", "unload", "pin", "unpin", "ask"),
      name: fc.constantFrom<RungName>(...names),
      seconds: fc.integer({ min: 0, max: 120 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
        const host = new LadderHost({ large: { answerTokens: 50 } });
        const asked: ReturnType<LadderHost["ask"]>[] = [];
        for (const { others, order, name, seconds } of steps) {
          host.othersBytes = others * 10 * MiB;
          if (order === "ask") asked.push(host.ask({}, name));
          else if (order === "unpin") host.manager.pin(null);
          else host.manager[order](name);
          await host.run(1_000 * seconds);
          expect(host.manager.facts().filter((each) => each.pinned).length).toBeLessThanOrEqual(1);
        }
        await host.run(60_000);
        // What a person unloaded is gone by then, and stays so.
        for (const facts of host.manager.facts())
          if (facts.unloadedByPerson) expect(facts.state).not.toBe("ready");
        expect(host.mostChanging).toBeLessThanOrEqual(1);
        await host.manager.close();
        await host.clock.advance(60_000);
        await Promise.all(asked.map(({ done }) => done));
        expect([host.usedBytes, host.reservedBytes]).toEqual([host.othersBytes, 0]);
        for (const { parts } of asked) expect(parts.filter(({ kind }) => kind === "end").length).toBe(1);
      }),
      { seed, numRuns: 100 },
    );
  }, 60_000);
});
