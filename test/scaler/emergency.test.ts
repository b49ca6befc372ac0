/** The emergency path: what comes before the first signal, and what is told of its pace. */

import { expect, test } from "bun:test";
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
  dwellMs: 30_000,
};

const quiet = {
  log: silentLog,
  policy,
  publisher: { publish: () => undefined },
  onIntervention: () => undefined,
  reservationMs: 30_000,
  horizonMs: 300_000,
  newLeaseId: () => "lease-1",
};

test("an emergency signals every victim before it measures, logs, writes or announces anything", async () => {
  const clock = new VirtualClock(10_000_000);
  const host = new SimulatedHost(clock, { voice: 300, android: 300, discord: 300, stubs: 60 });
  const done: string[] = [];
  const note = (what: string) => () => void done.push(what);
  const scaler = new Scaler({
    ...quiet,
    clock,
    log: { ...silentLog, info: note("log"), warn: note("log"), error: note("log") },
    actuator: {
      plugins: () => host.plugins(),
      hasShed: () => host.hasShed(),
      strike: (name) => done.push(`strike ${name}`),
      hasten: (name) => host.hasten(name),
      footprintBytes: (name) => {
        done.push("measure");
        return host.footprintBytes(name);
      },
      shed: (name, how) => host.shed(name, how),
      restore: (name) => host.restore(name),
    },
    measureNow: () => {
      done.push("measure");
      return host.measure();
    },
    recorder: {
      open: (record) => {
        done.push("write");
        return host.open(record);
      },
      close: (id, outcomes) => host.close(id, outcomes),
      observed: () => undefined,
    },
    publisher: { publish: note("announce") },
    onIntervention: note("forecast"),
  });
  const measured = host.measure();
  if (measured) scaler.onReading(measured);
  expect(done.slice(0, 4)).toEqual(["strike voice", "strike android", "strike discord", "write"]);
  await clock.advance(1_000);
  expect(host.records[0]?.outcomes).toHaveLength(3);
});

test("tells when the line was crossed, as two readings tell it, and when the signal was sent", async () => {
  const clock = new VirtualClock(10_000_000);
  const host = new SimulatedHost(clock, { voice: 300, android: 300, discord: 200, stubs: 60 });
  const scaler = new Scaler({
    ...quiet,
    clock,
    actuator: host,
    measureNow: host.measure,
    recorder: host,
  });
  // 0.76 before the crossing of the line at 0.95, 1.00 after it, 100 ms apart: crossed 79.2 ms after the first.
  host.baseBytes = -100 * MiB;
  const before = host.measure();
  if (before) scaler.onReading(before);
  await clock.advance(100);
  host.baseBytes = 140 * MiB;
  const after = host.measure();
  if (after) scaler.onReading(after);
  await clock.advance(1_000);
  const [first, ...others] = host.records[0]?.outcomes ?? [];
  expect(first?.noticedMs).toBeCloseTo((100 * (1_000 - 950)) / (1_000 - 760), 6);
  expect([first, ...others].map((outcome) => outcome?.signalMs)).toEqual([0, 0, 0]);
  expect(others.map(({ noticedMs }) => noticedMs)).toEqual([undefined, undefined]);
});
