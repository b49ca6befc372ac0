import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { seededUnit } from "../../src/health/stagger.ts";
import { silentLog } from "../../src/log.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import type { ScalerMode } from "../../src/scaler/scaler-options.ts";
import { type ShadowPolicy, Shadows } from "../../src/scaler/shadows.ts";
import type { ForecastFacts, Policy } from "../../src/scaler/situation.ts";
import { MiB, SimulatedHost } from "./simulated-host.ts";

const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 1_000,
  putOff: { initialMs: 2_000, mostMs: 60_000, relapseMs: 10_000 },
};
const late: Policy = {
  ...policy,
  kind: "adaptive",
  shedRatio: 0.92,
  restoreRatio: 0.88,
  emergencyRatio: 0.97,
};

function watched(shadowPolicies: readonly ShadowPolicy[], mode: ScalerMode = "act") {
  const clock = new VirtualClock(10_000_000);
  const host = new SimulatedHost(clock, { voice: 100, android: 100, discord: 100, stubs: 100 });
  const differences: string[] = [];
  const ended: string[] = [];
  const failures: unknown[] = [];
  const counts = { agree: 0, differ: 0 };
  const shadows = new Shadows({
    differs: (shadow, { rule, actions }, { verdict }) =>
      differences.push(
        `${shadow}: ${[rule, ...actions.map(({ kind, plugin }) => `${kind} ${plugin}`)].join(" ")}, acting ${verdict.rule}`,
      ),
    ended: (id, untilMs) => ended.push(`${id} at ${untilMs}`),
    counted: (_, agrees) => counts[agrees ? "agree" : "differ"]++,
    failed: (shadow, error) => failures.push([shadow, String(error)]),
  });
  shadows.use(shadowPolicies);
  const scaler = new Scaler({
    clock,
    log: silentLog,
    policy,
    mode,
    shadows,
    actuator: host,
    measureNow: host.measure,
    recorder: host,
    publisher: { publish: () => undefined },
    onIntervention: () => undefined,
    reservationMs: 30_000,
    horizonMs: 300_000,
    newLeaseId: () => "lease",
  });
  const hold = async (baseMiB: number, forMs: number) => {
    host.baseBytes = baseMiB * MiB;
    for (let ms = 0; ms < forMs; ms += 50) {
      const measured = host.measure();
      if (measured) scaler.onReading(measured);
      await clock.advance(50);
    }
  };
  return { clock, host, scaler, shadows, hold, differences, ended, failures, counts };
}

const forecastOf = (atMs: number, smoothedRatio: number): ForecastFacts => ({
  state: "ready",
  atMs,
  valueRatio: smoothedRatio,
  smoothedRatio,
  lowerRatio: smoothedRatio - 0.05,
  upperRatio: smoothedRatio + 0.05,
});

describe("a shadow policy", () => {
  test.each(["act", "observe"] as const)(
    "that is the acting one agrees on every reading of a random day, when it %ss",
    async (mode) => {
      const seed = 20_261_130;
      console.log(`seed ${seed}`);
      const unit = seededUnit(seed);
      const it = watched([{ name: "same", policy: structuredClone(policy) }], mode);
      for (let step = 0; step < 300; step++) {
        it.scaler.setForecast(unit() < 0.1 ? null : forecastOf(it.clock.nowMs(), unit()));
        it.scaler.onStall(unit() * 20);
        it.scaler.onSample(unit(), step * 3);
        await it.hold(unit() * 700, 50 + Math.floor(unit() * 2_000));
      }
      expect(it.host.records.length).toBeGreaterThan(10);
      expect([it.differences, it.counts.differ, it.failures]).toEqual([[], 0, []]);
      expect(it.counts.agree).toBeGreaterThan(1_000);
    },
  );

  test("does nothing, and what it would do otherwise is recorded once, with its end", async () => {
    const it = watched([{ name: "early", policy: { ...policy, shedRatio: 0.7, restoreRatio: 0.5 } }]);
    await it.hold(350, 5_000);
    expect(it.differences).toEqual(["early: threshold shed voice, acting hold"]);
    expect(it.host.log).toEqual([]);
    expect(it.counts).toEqual({ agree: 0, differ: 100 });
    await it.hold(100, 6_000);
    expect(it.ended).toEqual(["1 at 10004950"]);
    expect(it.differences).toHaveLength(1);
    await it.hold(350, 100);
    expect(it.differences).toHaveLength(2);
  });

  test("may hold where the acting one sheds; each has its own view of whether memory is being shed", async () => {
    const it = watched([{ name: "late", policy: late }]);
    await it.hold(420, 50);
    await it.clock.advance(1_000);
    expect(it.host.log.slice(0, 2)).toEqual(["stop voice", "gone voice"]);
    expect(it.differences).toEqual(["late: hold, acting threshold"]);
    expect(it.shadows.views()).toMatchObject([
      { name: "late", verdict: { rule: "hold" }, standing: { differenceId: 1 }, failed: false },
    ]);
  });

  test("that throws is left out and told once; the acting one sheds on the same reading", async () => {
    const broken = { ...policy, order: null as unknown as string[] };
    const it = watched([
      { name: "broken", policy: broken },
      { name: "same", policy },
    ]);
    await it.hold(450, 50);
    await it.clock.advance(1_000);
    expect(it.host.log.slice(0, 2)).toEqual(["stop voice", "gone voice"]);
    expect(it.failures).toEqual([["broken", expect.stringContaining("null")]]);
    await it.hold(100, 1_000);
    expect(it.failures).toHaveLength(1);
    expect(it.shadows.views().map(({ name, failed }) => [name, failed])).toEqual([
      ["broken", true],
      ["same", false],
    ]);
    expect(it.differences).toEqual([]);
  });

  test("judges only once every victim is signalled", async () => {
    const it = watched([]);
    const seen: string[][] = [];
    const shadows = new Shadows({
      differs: () => 1,
      ended: () => undefined,
      counted: () => seen.push(it.host.log.slice()),
      failed: () => undefined,
    });
    shadows.use([{ name: "same", policy }]);
    const scaler = new Scaler({
      clock: it.clock,
      log: silentLog,
      policy,
      shadows,
      actuator: it.host,
      measureNow: it.host.measure,
      recorder: it.host,
      publisher: { publish: () => undefined },
      onIntervention: () => undefined,
      reservationMs: 30_000,
      horizonMs: 300_000,
      newLeaseId: () => "lease",
    });
    scaler.onReading({ usedBytes: 970 * MiB, budgetBytes: 1_000 * MiB });
    const struck = ["voice", "android", "discord"].map((name) => expect.stringContaining(name));
    expect(seen).toHaveLength(1);
    expect(seen[0]).toEqual(expect.arrayContaining(struck));
    await it.clock.advance(1_000);
  });

  test("goes on with what it knows when the list is read again, and begins anew with another policy", async () => {
    const early = { ...policy, shedRatio: 0.7, restoreRatio: 0.5 };
    const it = watched([{ name: "early", policy: early }]);
    await it.hold(350, 100);
    it.shadows.use([{ name: "early", policy: { ...early } }]);
    await it.hold(350, 100);
    expect([it.differences.length, it.ended.length]).toEqual([1, 0]);
    it.shadows.use([{ name: "early", policy: { ...early, marginRatio: 0.04 } }]);
    expect(it.ended).toHaveLength(1);
    await it.hold(350, 100);
    expect(it.differences).toHaveLength(2);
    it.shadows.use([]);
    expect([it.ended.length, it.shadows.views()]).toEqual([2, []]);
  });
});
