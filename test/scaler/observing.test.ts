import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import type { Policy } from "../../src/scaler/situation.ts";
import { MiB, SimulatedHost } from "./simulated-host.ts";

const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 0,
};

function observing() {
  const clock = new VirtualClock(10_000_000);
  const host = new SimulatedHost(clock, { voice: 100, android: 100, discord: 100, stubs: 100 });
  const announced: unknown[] = [];
  const scaler = new Scaler({
    clock,
    log: silentLog,
    policy,
    mode: "observe",
    actuator: host,
    measureNow: host.measure,
    recorder: host,
    publisher: { publish: (name, data) => announced.push([name, data]) },
    onIntervention: () => undefined,
    reservationMs: 30_000,
    horizonMs: 300_000,
    newLeaseId: () => "lease",
  });
  /** Readings of `usedMiB`, one in 50 ms, for `forMs`. */
  const hold = async (usedMiB: number, forMs: number) => {
    for (let ms = 0; ms < forMs; ms += 50) {
      scaler.onReading({ usedBytes: usedMiB * MiB, budgetBytes: 1_000 * MiB });
      await clock.advance(50);
    }
  };
  return { clock, host, scaler, hold, announced };
}

const rulesOf = (host: SimulatedHost) => host.records.map(({ rule, observed }) => [rule, observed]);

describe("observing", () => {
  test("does nothing under pressure that lasts, in an emergency neither, and records each wish once", async () => {
    const { host, scaler, hold, announced } = observing();
    await hold(850, 10_000);
    expect(rulesOf(host)).toEqual([["threshold", true]]);
    expect(scaler.status()).toMatchObject({ mode: "observe", wish: { decisionId: 1, sinceMs: 10_000_000 } });
    await hold(960, 10_000);
    expect(rulesOf(host)).toEqual([
      ["threshold", true],
      ["emergency", true],
    ]);
    await hold(500, 10_000);
    expect(host.notes).toEqual([
      '1: wished for 10 s, then "emergency: shed voice, shed android, shed discord"',
      "2: wished for 9.9 s, then no more",
    ]);
    expect([host.log, scaler.status().wish]).toEqual([[], null]);
    expect(announced).toMatchObject([
      ["scaling.decision", { decisionId: 1, observed: true, actions: ["shed voice"] }],
      ["scaling.decision", { decisionId: 2, observed: true }],
    ]);
  });

  test("takes use that flickers at a line for one trouble, and a line crossed later for another", async () => {
    const { host, hold } = observing();
    for (let times = 0; times < 100; times++) {
      await hold(801, 50);
      await hold(799, 50);
    }
    for (let times = 0; times < 100; times++) {
      await hold(951, 50);
      await hold(949, 50);
    }
    expect(rulesOf(host)).toEqual([
      ["threshold", true],
      ["emergency", true],
    ]);
    await hold(500, 6_000);
    await hold(801, 50);
    expect(host.records).toHaveLength(3);
    expect(host.log).toEqual([]);
  });

  test("records another wish when the victims change", async () => {
    const { host, hold } = observing();
    await hold(850, 200);
    host.find("voice").state = "absent";
    await hold(850, 200);
    expect(host.records.map(({ actions }) => actions.map(({ plugin }) => plugin))).toEqual([
      ["voice"],
      ["android"],
    ]);
  });

  test("restores nothing either, but wishes to", async () => {
    const { host, scaler, hold } = observing();
    host.find("voice").state = "shed";
    scaler.setForecast({
      state: "ready",
      atMs: 10_000_000,
      valueRatio: 0.4,
      smoothedRatio: 0.4,
      lowerRatio: 0.3,
      upperRatio: 0.5,
    });
    await hold(400, 500);
    expect([rulesOf(host), host.log]).toEqual([[["restore", true]], []]);
  });

  test("holds no plugin back from its start: that would be to act", async () => {
    const { host, scaler, hold } = observing();
    host.baseBytes = 500 * MiB;
    await hold(900, 100);
    expect(scaler.mayStart("voice")).toEqual({ ok: true });
    scaler.setMode("act");
    expect(scaler.mayStart("voice").ok).toBe(false);
  });

  test("ends the wish and acts once it is told to, and the other way round", async () => {
    const { clock, host, scaler, hold } = observing();
    await hold(850, 200);
    scaler.setMode("act");
    expect([scaler.status(), host.notes]).toMatchObject([{ mode: "act", wish: null }, [expect.any(String)]]);
    await hold(850, 50);
    await clock.advance(1_000);
    expect(host.log.slice(0, 2)).toEqual(["stop voice", "gone voice"]);
    expect(rulesOf(host)[1]).toEqual(["threshold", undefined]);
    scaler.setMode("observe");
    const done = host.log.length;
    await hold(990, 1_000);
    expect(host.log).toHaveLength(done);
  });

  test("does not hasten a plugin that was being stopped when it began", async () => {
    const { host, scaler, hold } = observing();
    scaler.setMode("act");
    await hold(850, 50);
    scaler.setMode("observe");
    await hold(990, 50);
    expect(host.log).toEqual(["stop voice", "gone voice"]);
  });
});
