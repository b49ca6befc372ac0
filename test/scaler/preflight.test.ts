/** Preflights through the scaler: leases, and less important plugins that make room for an operation. */

import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { mostLeases } from "../../src/scaler/leases.ts";
import type { PreflightRequest } from "../../src/scaler/preflight.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import { MiB, SimulatedHost } from "./simulated-host.ts";

const policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};

/** 1,000 MiB, of which the four plugins hold 650; the line is at 800. */
function house({ stopMs = 100 } = {}) {
  const clock = new VirtualClock(10_000_000);
  const host = new SimulatedHost(clock, { voice: 200, android: 200, discord: 200, stubs: 50 }, stopMs);
  let ids = 0;
  const scaler = new Scaler({
    clock,
    log: silentLog,
    policy,
    actuator: host,
    measureNow: host.measure,
    recorder: host,
    publisher: { publish: () => undefined },
    onIntervention: () => undefined,
    reservationMs: 30_000,
    horizonMs: 300_000,
    newLeaseId: () => `lease-${++ids}`,
  });
  const request = (mib: number, more: Partial<PreflightRequest> = {}): PreflightRequest => ({
    bytes: mib * MiB,
    importance: null,
    leaseMs: 60_000,
    who: "backup",
    shed: false,
    ...more,
  });
  const ask = (mib: number, more: Partial<PreflightRequest> = {}) => scaler.preflight.ask(request(mib, more));
  /** What is answered while the clock goes on. */
  const asked = async (mib: number, more: Partial<PreflightRequest> = {}, passMs = 1_000) => {
    const answer = ask(mib, more);
    await clock.advance(passMs);
    return answer;
  };
  return { clock, host, scaler, ask, asked };
}

const leaseOf = (answer: { decision: string; lease?: { id: string } }): string => {
  if (answer.lease === undefined) throw new Error(`no lease: ${JSON.stringify(answer)}`);
  return answer.lease.id;
};

describe("a preflight", () => {
  test("goes on where it fits, and keeps its memory from everybody else until it is given back", async () => {
    const { clock, host, scaler, ask } = house();
    const answer = await ask(100);
    expect(answer).toMatchObject({
      decision: "proceed",
      lease: { id: "lease-1", who: "backup", bytes: 100 * MiB },
      reason: "100 MiB fit: 75.0 % of the budget would be used, under the shed line of 80.0 %",
    });
    expect((await ask(60)).decision).toBe("wait");
    host.find("android").state = "absent";
    host.baseBytes = 60 * MiB;
    expect(scaler.mayStart("android").ok).toBe(false);
    scaler.preflight.release(leaseOf(answer));
    expect(scaler.mayStart("android")).toEqual({ ok: true });
    scaler.onPluginState("android", "absent");
    expect(scaler.promised()).toEqual([]);
    await ask(100, { leaseMs: 500 });
    await clock.advance(500);
    expect(scaler.promised()).toEqual([]);
  });

  test("of two at the same time, only one gets the last room", async () => {
    const { scaler, ask } = house();
    const answers = await Promise.all([ask(100), ask(100)]);
    expect(answers.map(({ decision }) => decision)).toEqual(["proceed", "wait"]);
    expect(answers[1]).toMatchObject({ retryAfterMs: 30_000 });
    expect(scaler.promised()).toHaveLength(1);
  });

  test("counts once with what its holder says it took", async () => {
    const { host, scaler, ask } = house();
    const id = leaseOf(await ask(100));
    host.baseBytes = 80 * MiB;
    expect((await ask(30)).decision).toBe("wait");
    expect(scaler.preflight.renew(id, 60_000, 80 * MiB)).toMatchObject({ takenBytes: 80 * MiB });
    expect((await ask(30)).decision).toBe("proceed");
  });

  test("of more than is ever given is told so, and without a measurement nothing is promised", async () => {
    const { host, scaler, ask } = house();
    expect(await ask(801)).toEqual({
      decision: "too-large",
      budgetBytes: 1_000 * MiB,
      mostBytes: 800 * MiB,
    });
    host.readable = false;
    expect(await ask(1)).toEqual({ decision: "unmeasured" });
    expect(scaler.promised()).toEqual([]);
  });

  test("is refused where there are as many leases as there may be", async () => {
    const { scaler, ask } = house();
    for (let lease = 0; lease < mostLeases; lease++) expect((await ask(1 / 1_024)).decision).toBe("proceed");
    expect(await ask(1 / 1_024)).toMatchObject({
      decision: "wait",
      reason: "1000 leases are held, the most there may be",
    });
    expect(scaler.promised()).toHaveLength(mostLeases);
  });

  test("counts in the situation that the next decision is made from: nothing is restored into it", async () => {
    const { host, scaler, ask, clock } = house();
    host.find("voice").state = "shed";
    host.find("android").state = "shed";
    await ask(300);
    const measured = host.measure();
    if (!measured) throw new Error("memory cannot be measured");
    scaler.setForecast({
      state: "ready",
      atMs: clock.nowMs(),
      valueRatio: 0.3,
      smoothedRatio: 0.3,
      lowerRatio: 0.2,
      upperRatio: 0.4,
    });
    await ask(100);
    scaler.onReading(measured);
    await clock.advance(0);
    expect(scaler.status().verdict).toMatchObject({
      rule: "hold",
      reason: expect.stringContaining("android stays shed"),
    });
    expect(scaler.situation(measured).reservedBytes).toBe(400 * MiB);
  });
});

describe("an important operation", () => {
  const shed = { importance: 1, shed: true };

  test("sheds nobody unless it says so, and is told who could go", async () => {
    const { host, ask } = house();
    expect(await ask(250, { importance: 1 })).toMatchObject({
      decision: "refuse",
      reason:
        "there is no room: 90.0 % of the budget would be used, not under the shed line of 80.0 %; voice 200 MiB, android 200 MiB, discord 200 MiB; of less importance, voice could be shed for it",
    });
    expect([host.log, host.records]).toEqual([[], []]);
  });

  test("gets the memory of the least important, measured to be back, and the record says for whom", async () => {
    const { host, asked, scaler } = house();
    expect(await asked(250, shed)).toMatchObject({ decision: "proceed" });
    expect(host.log).toEqual(["stop voice", "gone voice"]);
    expect(host.records).toMatchObject([
      {
        rule: "preflight",
        reason: expect.stringContaining("backup asks for 250 MiB"),
        actions: [{ kind: "shed", plugin: "voice", urgent: false }],
        situation: { reservedBytes: 250 * MiB },
        outcomes: [{ plugin: "voice", actualBytes: 200 * MiB }],
      },
    ]);
    expect(scaler.promised()).toMatchObject([{ kind: "lease", who: "backup", bytes: 250 * MiB }]);
    // That is no shortage: the scaler sheds no more, and puts nobody off.
    expect(scaler.status().shedding).toBe(false);
  });

  test("takes one after the other, and no more than it needs", async () => {
    const { host, asked } = house();
    host.find("voice").bytes = 20 * MiB;
    host.find("android").bytes = 380 * MiB;
    expect(await asked(300, shed)).toMatchObject({ decision: "proceed" });
    expect(host.log).toEqual(["stop voice", "gone voice", "stop android", "gone android"]);
    const second = house();
    // The first frees more than was measured: the second stays.
    second.host.baseBytes = 0;
    expect(await second.asked(340, shed)).toMatchObject({ decision: "proceed" });
    expect(second.host.log).toEqual(["stop voice", "gone voice"]);
  });

  test("sheds nobody where all that may go would not be enough", async () => {
    const { host, asked } = house();
    expect((await asked(700, { importance: "discord", shed: true })).decision).toBe("refuse");
    expect((await asked(780, shed)).decision).toBe("refuse");
    expect(host.log).toEqual([]);
  });

  test("waits no longer than ten seconds, and then holds nothing", async () => {
    const { clock, host, ask, scaler } = house({ stopMs: 15_000 });
    let answered = false;
    const answer = ask(250, shed).finally(() => {
      answered = true;
    });
    await clock.advance(9_999);
    expect(answered).toBe(false);
    expect(scaler.promised()).toHaveLength(1);
    await clock.advance(1);
    expect(await answer).toMatchObject({ decision: "refuse" });
    expect(scaler.promised()).toEqual([]);
    await clock.advance(5_000);
    expect(host.log).toEqual(["stop voice", "gone voice"]);
  });

  test("gets nothing where the victim does not go", async () => {
    const { host, asked, scaler } = house();
    host.stuck = true;
    expect(await asked(250, shed)).toMatchObject({ decision: "refuse" });
    expect([host.log, scaler.promised()]).toEqual([["stop voice"], []]);
  });

  test("of two, each has its own memory freed, and what comes free is taken by nobody else", async () => {
    const { clock, host, ask } = house();
    const both = Promise.all([ask(250, shed), ask(250, shed), ask(140)]);
    await clock.advance(1_000);
    expect((await both).map(({ decision }) => decision)).toEqual(["proceed", "proceed", "wait"]);
    expect(host.log).toEqual(["stop voice", "gone voice", "stop android", "gone android"]);
    expect(host.mostStopping).toBe(1);
  });

  test("does not decide beside the scaler: an emergency meanwhile kills what is being stopped", async () => {
    const { clock, host, ask, scaler } = house();
    const answer = ask(250, shed);
    await clock.advance(10);
    host.baseBytes = 350 * MiB;
    const measured = host.measure();
    if (measured) scaler.onReading(measured);
    await clock.advance(1);
    expect(host.log).toEqual(["stop voice", "hasten voice", "gone voice"]);
    await clock.advance(1_000);
    expect((await answer).decision).not.toBe("proceed");
  });
});
