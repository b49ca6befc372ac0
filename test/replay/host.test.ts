/** The simulated host: when the kernel kills, who, and what is counted. Expected numbers follow from the curves. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { flat, together } from "../../src/replay/curve.ts";
import { type HostModel, SimulatedHost } from "../../src/replay/host.ts";
import { leak } from "../../src/replay/patterns.ts";
import { generatedHost, patternNames } from "../../src/replay/scenarios.ts";
import type { PluginModel } from "../../src/replay/simulated-plugin.ts";

const minuteMs = 60_000;
const times = { startMs: 2_000, stopMs: 300, reclaimMs: 100 };

/** 50 of 100 are the base's; the leaker begins with 10 and takes 60 an hour, so that it is full after 20 minutes. */
const leaker: PluginModel = { name: "leaker", curve: together([flat(10), leak(1, [60, 60])]), ...times };
const steady: PluginModel = { name: "steady", curve: flat(20), ...times };
const model: HostModel = {
  budgetBytes: 100,
  base: flat(50),
  plugins: [leaker, steady],
  beginMs: 0,
  endMs: 60 * minuteMs,
};

function hostOf(of: HostModel, mayStart = true) {
  const kills: { atMs: number; plugin: string | null }[] = [];
  const moves: string[] = [];
  const host: SimulatedHost = new SimulatedHost(of, {
    onState: ({ name }, state) => moves.push(`${host?.nowMs ?? of.beginMs} ${name} ${state}`),
    onKill: (plugin) => kills.push({ atMs: host.nowMs, plugin: plugin?.name ?? null }),
    mayStart: () => mayStart,
  });
  host.begin();
  return { host, kills, moves };
}

describe("over the budget", () => {
  test("the kernel kills the largest, which comes back after three seconds and begins anew", () => {
    const { host, kills, moves } = hostOf(model);
    host.advanceTo(20 * minuteMs - 1);
    expect(kills).toEqual([]);
    host.advanceTo(20 * minuteMs + 1);
    expect(kills).toEqual([{ atMs: 20 * minuteMs, plugin: "leaker" }]);
    expect(host.usedBytes).toBe(70);
    host.advanceTo(21 * minuteMs);
    expect(moves.slice(-3)).toEqual([
      "1200000 leaker absent",
      "1203000 leaker starting",
      "1205000 leaker running",
    ]);
    expect(host.usedBytes).toBeCloseTo(80 + (60 * 57) / 3_600, 6);
  });

  test("time at 95 % and more is counted to the millisecond", () => {
    const { host } = hostOf(model);
    host.advanceTo(20 * minuteMs + 1);
    // From 95 to 100 of 100 at one a minute.
    expect(host.criticalMs).toBeCloseTo(5 * minuteMs, -1);
  });

  test("a plugin that may not start is asked for again", () => {
    const { host, moves } = hostOf(model, false);
    host.advanceTo(40 * minuteMs);
    expect(moves.at(-1)).toBe("1200000 leaker absent");
    expect(host.plugin("leaker").state).toBe("absent");
  });

  test("what is due at the very moment of a kill happens then too", () => {
    // 20 of 61 an hour are taken after 1,180,327.9 ms.
    const faster = { ...leaker, curve: together([flat(10), leak(1, [61, 61])]) };
    const { host, kills } = hostOf({ ...model, plugins: [faster, steady] });
    host.advanceTo(1_180_000);
    host.stop(host.plugin("steady"), 328, null);
    host.advanceTo(host.nextEventMs);
    expect(kills).toEqual([{ atMs: 1_180_328, plugin: "leaker" }]);
    expect(host.plugin("steady").state).toBe("shed");
    expect(host.nextEventMs).toBe(1_180_328 + 3_000);
    expect(host.usedBytes).toBe(50);
  });

  test("what is due at once happens without time going on", () => {
    const { host } = hostOf(model);
    host.advanceTo(1_000);
    host.stop(host.plugin("steady"), 0, null);
    host.advanceTo(1_000);
    expect(host.plugin("steady").state).toBe("shed");
  });

  test("where no plugin is left, the base is killed, and counted once a minute", () => {
    const { host, kills } = hostOf({ ...model, base: flat(120), plugins: [] });
    host.advanceTo(3 * minuteMs);
    expect(kills).toEqual([0, 1, 2].map((minute) => ({ atMs: minute * minuteMs, plugin: null })));
  });
});

test("a stop frees memory when it is over, a hastened one sooner", () => {
  const { host } = hostOf(model);
  const plugin = host.plugin("steady");
  host.stop(plugin, 400, null);
  host.advanceTo(399);
  expect(host.usedBytes).toBeGreaterThan(80);
  host.advanceTo(400);
  expect([plugin.state, Math.floor(host.usedBytes)]).toEqual(["shed", 60]);
  host.start(plugin);
  host.advanceTo(1_400);
  expect(plugin.bytesAt(1_400)).toBe(10);
  host.advanceTo(2_400);
  expect([plugin.state, plugin.bytesAt(2_400)]).toEqual(["running", 20]);
  host.stop(plugin, 10_000, null);
  host.hasten(plugin, 100);
  host.advanceTo(2_500);
  expect(plugin.state).toBe("shed");
  host.close();
  expect(plugin.upMs).toBe(0);
});

test("availability counts the time in which it was ready", () => {
  const { host } = hostOf(model);
  host.advanceTo(10_000);
  host.stop(host.plugin("steady"), 400, null);
  host.advanceTo(20_000);
  host.start(host.plugin("steady"));
  host.advanceTo(30_000);
  host.close();
  expect(host.plugin("steady").upMs).toBe(10_000 + 8_000);
  expect(host.plugin("leaker").upMs).toBe(30_000);
});

test("the first moment over a line is where a walk would find it", () => {
  const { host } = hostOf(model);
  // Rounded up to a millisecond.
  expect(host.firstOver(60 * minuteMs, () => 90) - 10 * minuteMs).toBeOneOf([0, 1]);
  expect(host.firstOver(9 * minuteMs, () => 90)).toBe(Number.POSITIVE_INFINITY);
  expect(host.firstOver(60 * minuteMs, (rise) => (rise > 1 ? 0 : 90)) - 10 * minuteMs).toBeOneOf([0, 1]);
  expect(host.firstUnder(60 * minuteMs, 80)).toBe(0);
  expect(host.firstUnder(60 * minuteMs, 79)).toBe(Number.POSITIVE_INFINITY);
});

test("what happens does not depend on how often somebody looks", () => {
  const beginMs = Date.UTC(2026, 0, 1);
  const endMs = beginMs + 180 * minuteMs;
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.constantFrom(...patternNames),
      fc.array(fc.integer({ min: 1, max: 40 * minuteMs }), { maxLength: 30 }),
      (seed, pattern, steps) => {
        const of = generatedHost(pattern, { seed, budgetBytes: 2 ** 33, beginMs, endMs });
        // Tight, so that the kernel has to act.
        const tight = { ...of, budgetBytes: 0.75 * of.budgetBytes };
        const [once, often] = [hostOf(tight), hostOf(tight)];
        once.host.advanceTo(endMs);
        for (const step of steps) often.host.advanceTo(Math.min(endMs, often.host.nowMs + step));
        often.host.advanceTo(endMs);
        expect(often.moves).toEqual(once.moves);
        expect(often.kills).toEqual(once.kills);
        expect(often.host.usedBytes).toBe(once.host.usedBytes);
        expect(often.host.criticalMs).toBeCloseTo(once.host.criticalMs, 3);
      },
    ),
    { numRuns: 60 },
  );
});
