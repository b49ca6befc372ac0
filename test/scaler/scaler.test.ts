import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import type { ForecastFacts, Policy } from "../../src/scaler/situation.ts";
import { MiB, SimulatedHost } from "./simulated-host.ts";

const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};

/** A wall clock that somebody sets. */
class SteppedClock extends VirtualClock {
  stepMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.stepMs;
  }
}

function house(footprintsMiB: Record<string, number>, stopMs?: number) {
  const clock = new SteppedClock(10_000_000);
  const host = new SimulatedHost(clock, footprintsMiB, stopMs);
  const interventions: string[] = [];
  const announced: string[] = [];
  const scaler = new Scaler({
    clock,
    log: silentLog,
    policy,
    actuator: host,
    measureNow: host.measure,
    recorder: host,
    publisher: { publish: (name) => announced.push(name) },
    onIntervention: (_, what) => interventions.push(what),
    reservationMs: 30_000,
    horizonMs: 300_000,
    newLeaseId: () => crypto.randomUUID(),
  });
  /** One reading now, and time for what it causes. */
  const read = async (passMs = 1_000) => {
    const measured = host.measure();
    if (measured) scaler.onReading(measured);
    await clock.advance(passMs);
  };
  return { clock, host, scaler, read, interventions, announced };
}

const calm = (atMs: number): ForecastFacts => ({
  state: "ready",
  atMs,
  valueRatio: 0.5,
  smoothedRatio: 0.5,
  lowerRatio: 0.4,
  upperRatio: 0.6,
});

describe("shedding", () => {
  test("takes one victim at a time, measures, and stops once under the line less the margin", async () => {
    const { host, read } = house({ voice: 30, android: 40, discord: 300, stubs: 450 });
    await read();
    // 820 -> 790 -> 750 (not under 75 %) -> 450 MiB
    expect(host.log).toEqual([
      "stop voice",
      "gone voice",
      "stop android",
      "gone android",
      "stop discord",
      "gone discord",
    ]);
    expect(host.mostStopping).toBe(1);
    expect(host.records.map(({ rule }) => rule)).toEqual(["threshold", "continue", "continue"]);
  });

  test("one crossing does not stop everything when the first victim frees enough", async () => {
    const { host, read } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    await read();
    await read();
    expect(host.log).toEqual(["stop voice", "gone voice"]);
  });

  test("records what was expected and what came back", async () => {
    const { host, read } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    await read();
    const [outcome] = host.records[0]?.outcomes ?? [];
    expect(outcome).toMatchObject({
      plugin: "voice",
      expectedBytes: 300 * MiB,
      beforeBytes: 850 * MiB,
      afterBytes: 550 * MiB,
      actualBytes: 300 * MiB,
      durationMs: 100,
    });
  });

  test("takes those that require the victim before it, in one decision with an outcome for each", async () => {
    const { host, read } = house({ voice: 100, android: 200, discord: 50, stubs: 460 });
    host.find("discord").requires = ["android"];
    host.find("android").requires = ["voice"];
    await read();
    expect(host.log).toEqual([
      "stop discord",
      "gone discord",
      "stop android",
      "gone android",
      "stop voice",
      "gone voice",
    ]);
    expect(host.mostStopping).toBe(1);
    expect(host.records).toHaveLength(1);
    expect(host.records[0]?.outcomes.map(({ plugin, actualBytes }) => [plugin, actualBytes])).toEqual([
      ["discord", 50 * MiB],
      ["android", 200 * MiB],
      ["voice", 100 * MiB],
    ]);
  });

  test("kills the rest of a group when memory reaches the emergency line while the first is stopped", async () => {
    const { host, scaler, clock } = house({ voice: 300, android: 200, discord: 200, stubs: 150 }, 5_000);
    host.find("android").requires = ["voice"];
    const reading = host.measure();
    if (reading) scaler.onReading(reading);
    await clock.advance(100);
    host.baseBytes = 110 * MiB;
    const worse = host.measure();
    if (worse) scaler.onReading(worse);
    await clock.advance(10);
    expect(host.log.slice(0, 5)).toEqual([
      "stop android",
      "hasten android",
      "gone android",
      "strike voice",
      "kill voice",
    ]);
    expect(host.records[0]?.outcomes.map(({ urgent }) => urgent)).toEqual([true, true]);
  });

  test("never takes the last one, and says once that nothing is left", async () => {
    const { host, read } = house({ voice: 10, android: 10, discord: 10, stubs: 900 });
    for (let i = 0; i < 5; i++) await read();
    expect(host.log).not.toContain("stop stubs");
    expect(host.records.at(-1)).toMatchObject({ rule: "hold", actions: [] });
    expect(host.records.filter(({ rule }) => rule === "hold")).toHaveLength(1);
  });

  test("an emergency keeps only the last, kills in order, and is one decision", async () => {
    const { host, read } = house({ voice: 300, android: 300, discord: 300, stubs: 60 });
    await read();
    expect(host.log.filter((line) => line.startsWith("kill"))).toEqual([
      "kill voice",
      "kill android",
      "kill discord",
    ]);
    expect(host.records).toHaveLength(1);
    expect(host.records[0]?.outcomes.map(({ actualBytes }) => actualBytes)).toEqual([
      300 * MiB,
      300 * MiB,
      300 * MiB,
    ]);
  });

  test("in an emergency a victim that is stuck does not hold up the next", async () => {
    const { host, read } = house({ voice: 300, android: 300, discord: 300, stubs: 60 });
    host.find("voice").stuckMs = 3_000;
    await read(500);
    expect(host.log.filter((line) => line.startsWith("kill"))).toEqual([
      "kill voice",
      "kill android",
      "kill discord",
    ]);
    expect(host.log).not.toContain("gone voice");
    await read(5_000);
    expect(host.records[0]?.outcomes.map(({ plugin }) => plugin).sort()).toEqual([
      "android",
      "discord",
      "voice",
    ]);
  });

  test("hovering at the line with nothing left to shed is one record", async () => {
    const { host, read } = house({ stubs: 850 });
    for (const mib of [850, 799, 801, 780, 800]) {
      host.find("stubs").bytes = mib * MiB;
      await read(50);
    }
    expect(host.records).toHaveLength(1);
    host.find("stubs").bytes = 700 * MiB;
    await read(50);
    host.find("stubs").bytes = 850 * MiB;
    await read(50);
    expect(host.records).toHaveLength(2);
  });

  test("bytes of the host and of a cgroup are not compared with each other", async () => {
    const { host, read } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    host.cgroup = () => (host.find("voice").state === "shed" ? null : "/sys/fs/cgroup/x");
    await read();
    expect(host.records[0]?.outcomes[0]).toMatchObject({ beforeBytes: 850 * MiB, actualBytes: null });
  });

  test("a wall clock that is set back does not make the dwell last", async () => {
    const { host, read, scaler, clock } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    await read();
    host.find("discord").bytes = 0;
    clock.stepMs = -3_600_000;
    await read(60_000);
    scaler.setForecast(calm(clock.nowMs()));
    await read();
    expect(host.log).toContain("start voice");
  });

  test("a wall clock that is set forward does not cut the dwell short", async () => {
    const { host, read, scaler, clock } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    await read();
    host.find("discord").bytes = 0;
    const changedMs = scaler.status().lastChangeMs ?? Number.NaN;
    clock.stepMs = 3_600_000;
    await read(10_000);
    scaler.setForecast(calm(clock.nowMs()));
    await read();
    expect(host.log).not.toContain("start voice");
    expect(scaler.status().lastChangeMs).toBe(changedMs + 3_600_000);
    await clock.advance(30_000);
    scaler.setForecast(calm(clock.nowMs()));
    await read();
    expect(host.log).toContain("start voice");
  });

  test("a gentle stop becomes a kill when memory reaches the emergency line meanwhile", async () => {
    const { host, scaler, clock } = house({ voice: 300, android: 200, discord: 200, stubs: 150 }, 5_000);
    const reading = host.measure();
    if (reading) scaler.onReading(reading);
    await clock.advance(100);
    host.baseBytes = 110 * MiB;
    const worse = host.measure();
    if (worse) scaler.onReading(worse);
    await clock.advance(10);
    expect(host.log.slice(0, 3)).toEqual(["stop voice", "hasten voice", "gone voice"]);
    expect(host.records[0]?.outcomes[0]?.urgent).toBe(true);
  });

  test("a victim that can not be stopped is not tried again before the next reading", async () => {
    const { host, read } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    host.stuck = true;
    await read();
    expect(host.log).toEqual(["stop voice"]);
  });

  test("a reading that can not be taken after an action is null, not zero", async () => {
    const { host, scaler, clock } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    const reading = host.measure();
    host.readable = false;
    if (reading) scaler.onReading(reading);
    await clock.advance(1_000);
    expect(host.records[0]?.outcomes[0]).toMatchObject({ afterBytes: null, actualBytes: null });
  });
});

describe("restoring", () => {
  async function shedAll() {
    const all = house({ voice: 20, android: 20, discord: 20, stubs: 50 });
    all.host.baseBytes = 720 * MiB;
    await all.read();
    expect(all.host.log.filter((line) => line.startsWith("gone"))).toEqual([
      "gone voice",
      "gone android",
      "gone discord",
    ]);
    all.host.baseBytes = 200 * MiB;
    return all;
  }

  test("runs the other way, one at a time, each after the dwell and with a forecast made since", async () => {
    const { host, read, scaler, clock } = await shedAll();
    for (let second = 0; second < 200; second++) {
      if (second >= 10) scaler.setForecast(calm(clock.nowMs()));
      await read(1_000);
      expect(host.plugins_.filter(({ state }) => state === "starting").length).toBeLessThanOrEqual(1);
    }
    const started = host.log.filter((line) => line.startsWith("start"));
    expect(started).toEqual(["start discord", "start android", "start voice"]);
    expect(host.plugins_.every(({ state }) => state === "running")).toBe(true);
  });

  test("does not happen without a forecast", async () => {
    const { host, read } = await shedAll();
    for (let second = 0; second < 100; second++) await read(1_000);
    expect(host.log.filter((line) => line.startsWith("start"))).toEqual([]);
  });

  test("tells the forecast about every change that it made itself", async () => {
    const { read, scaler, clock, interventions } = await shedAll();
    expect(interventions).toEqual(["voice was shed", "android was shed", "discord was shed"]);
    await clock.advance(60_000);
    scaler.setForecast(calm(clock.nowMs()));
    await read(1_000);
    expect(interventions.at(-1)).toBe("discord was restored");
  });
});

test("a plugin that is being restored has its memory reserved until it runs", async () => {
  const { host, scaler } = house({ voice: 300, android: 200, discord: 50, stubs: 50 });
  for (const name of ["voice", "android"]) host.find(name).state = "shed";
  host.baseBytes = 250 * MiB;
  scaler.onPluginState("voice", "starting");
  expect(scaler.mayStart("android")).toEqual({
    ok: false,
    reason:
      "there is no room: 85.0 % of the budget would be used with its usual 200 MiB and 300 MiB that are promised to voice",
  });
  scaler.onPluginState("voice", "running");
  expect(scaler.mayStart("android")).toEqual({ ok: true });
});

test("a second copy of a running plugin needs its memory once more", async () => {
  const { host, scaler } = house({ voice: 300, android: 200, discord: 50, stubs: 50 });
  expect(scaler.mayOverlap("voice").ok).toBe(false);
  expect(scaler.mayOverlap("discord")).toEqual({ ok: true });
  host.find("android").state = "shed";
  expect(scaler.mayOverlap("voice")).toEqual({ ok: true });
  scaler.overlapEnded("voice");
  expect(scaler.mayStart("android")).toEqual({ ok: true });
});

describe("starting plugins", () => {
  test("is refused while memory is short, saying so", async () => {
    const { host, scaler } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    expect(scaler.mayStart("voice")).toEqual({
      ok: false,
      reason: "memory is short: 85.0 % of the budget is used, the shed line is 80.0 %",
    });
    host.find("voice").state = "shed";
    expect(scaler.mayStart("discord")).toEqual({ ok: true });
  });

  test("the one that is never shed may start however short memory is", async () => {
    const { scaler } = house({ voice: 300, android: 200, discord: 200, stubs: 150 });
    expect(scaler.mayStart("stubs")).toEqual({ ok: true });
  });
});

test("after stop nothing is decided any more", async () => {
  const { host, scaler, read } = house({ voice: 300, android: 200, discord: 200, stubs: 250 });
  await scaler.stop();
  await read();
  expect(host.log).toEqual([]);
});
