/** Stalls from the kernel's answer to the record: the port at the edge of the memory watch, everything behind it real. */

import { afterEach, expect, test } from "bun:test";
import { ForecastReport } from "../../src/conductor/forecast-report.ts";
import { MemoryWatch } from "../../src/conductor/memory-watch.ts";
import { AuditRecorder } from "../../src/conductor/recorder.ts";
import { configSchema } from "../../src/config/schema.ts";
import { EventBus } from "../../src/events/bus.ts";
import { SampleWindow } from "../../src/monitor/window.ts";
import { LearnedFootprints } from "../../src/scaler/footprints.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { MiB, SimulatedHost } from "../scaler/simulated-host.ts";
import { afterwards, recordedLog, undoAll } from "../storage/scratch.ts";
import { learningForecast } from "./learning-forecast.ts";

afterEach(undoAll);

/** Web and stubs hold 200 MiB each of 1,000; `stallPercent` is what the kernel answers. */
function house(baseMiB: number, stallPercent: () => number | null) {
  const { log } = recordedLog();
  const config = configSchema.parse({ scaler: { order: ["web", "stubs"] } });
  const policy = policyOf(config.scaler);
  const storage = openStorage({
    location: resolveLocation(":memory:", {}),
    retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
    clock: { nowMs: () => 0, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) },
    log,
  });
  afterwards(() => storage.close());
  const { clock, forecast, learning, metrics } = learningForecast({ storage, folder: null });
  const events = new EventBus(clock, log);
  const host = new SimulatedHost(clock, { web: 200, stubs: 200 });
  host.baseBytes = baseMiB * MiB;
  let asked = 0;
  const watch = new MemoryWatch({
    clock,
    forecast,
    learning,
    report: new ForecastReport({
      forecast,
      learning,
      events,
      metrics,
      log,
      horizonMs: config.forecast.horizon,
      shedRatio: () => policy.shedRatio,
      emergencyRatio: () => policy.emergencyRatio,
    }),
    learned: new LearnedFootprints(),
    window: new SampleWindow(config.monitor.window),
    storage,
    metrics,
    footprintTargets: () => [],
    heldPlugins: () => new Set(["web", "stubs"]),
    stallPercent: () => {
      asked++;
      return stallPercent();
    },
    requests: () => 0,
  });
  const scaler = new Scaler({
    clock,
    log,
    publisher: events,
    policy,
    mode: "act",
    actuator: host,
    measureNow: host.measure,
    recorder: new AuditRecorder(storage, metrics, clock),
    onIntervention: () => undefined,
    reservationMs: 10_000,
    horizonMs: config.forecast.horizon,
    newLeaseId: () => "lease",
  });
  watch.drive(scaler);
  const read = async (times: number) => {
    for (let i = 0; i < times; i++) {
      const reading = host.measure();
      if (reading)
        watch.onReading({ ...reading, usedRatio: reading.usedBytes / reading.budgetBytes } as Parameters<
          typeof watch.onReading
        >[0]);
      await clock.advance(1_000);
    }
  };
  const recorded = () =>
    storage.decisions
      .list()
      .decisions.toReversed()
      .map(({ rule, reason, plugins, inputs }) => ({
        rule,
        reason,
        plugins,
        stallPercent: (inputs as { stallPercent?: number }).stallPercent,
      }));
  return { host, read, recorded, asked: () => asked };
}

test("everything waits for memory: one plugin is shed, and the record names the stall and how long it was", async () => {
  let percent = 0;
  const it = house(340, () => percent);
  await it.read(60);
  expect([it.recorded(), it.asked()]).toEqual([[], 60]);
  percent = 23.5;
  await it.read(3);
  expect(it.recorded()).toEqual([
    {
      rule: "stall",
      reason: expect.stringContaining(
        "for 23.5 % of the last 10 s everything waited for memory, at or over 10 %, with 74.0 % of the budget used",
      ),
      plugins: ["web"],
      stallPercent: 23.5,
    },
  ]);
  expect(it.host.log).toEqual(["stop web", "gone web"]);
});

test("waits where memory is not short do not shed; below half of the budget the kernel is not asked", async () => {
  const roomy = house(60, () => 90);
  await roomy.read(60);
  expect([roomy.recorded(), roomy.asked()]).toEqual([[], 0]);
  const short = house(250, () => 90);
  await short.read(60);
  expect([short.host.log, short.asked()]).toEqual([[], 60]);
  const silent = house(340, () => null);
  await silent.read(60);
  expect([silent.host.log, silent.asked()]).toEqual([[], 60]);
});
