/** The loop of the design: sample -> window -> forecast -> decide -> act -> record. */

import { join } from "node:path";
import type { Log } from "../log.ts";
import { Gaps } from "../monitor/gaps.ts";
import { hasProc, ProcSource } from "../monitor/host-source.ts";
import { PortableSource } from "../monitor/portable-source.ts";
import { Reflex } from "../monitor/reflex.ts";
import { Sampler } from "../monitor/sampler.ts";
import { SampleWindow } from "../monitor/window.ts";
import type { PluginManager } from "../plugins/manager.ts";
import { LearnedFootprints, mostPeaks } from "../scaler/footprints.ts";
import { owedBytes } from "../scaler/ledger.ts";
import type { Promised } from "../scaler/room.ts";
import { Scaler } from "../scaler/scaler.ts";
import { ForecastLearning } from "./forecast-learning.ts";
import { ForecastReport } from "./forecast-report.ts";
import type { Foundation } from "./foundation.ts";
import type { ShadowPolicies } from "./make-shadows.ts";
import type { State } from "./make-state.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { actuatorOf, footprintTargetsOf, heldPluginsOf, scalingStateOf } from "./plugin-ports.ts";
import { AuditRecorder } from "./recorder.ts";
import { sampleOf } from "./sample-rows.ts";

export interface Memory {
  window: SampleWindow;
  gaps: Gaps;
  watch: MemoryWatch;
  reflex: Reflex;
  scaler: Scaler;
  forecastReport: ForecastReport;
  /** Warms the window from the database and begins to sample. */
  begin(): void;
}

const profileAfterMs = 5_000;
/** A reading of memory that comes so much later than it was due is told. */
const toldLateMs = 1_000;
const weekMs = 7 * 86_400_000;
/** A week at one in 30 s. */
const weekRows = 20_160;

/** Makes the loop; nothing is read before `begin`. */
export function makeMemory(
  foundation: Foundation,
  state: State,
  manager: PluginManager,
  { shadows, onReading }: Pick<ShadowPolicies, "shadows" | "onReading">,
): Memory {
  const { loaded, clock, log, events } = foundation;
  const { config } = loaded;
  const { storage, metrics, forecast } = state;
  const window = new SampleWindow(config.monitor.window);
  const gaps = new Gaps(log, events, (source) => metrics.countSampleGap(source));
  const learned = new LearnedFootprints();
  const footprintTargets = () => footprintTargetsOf(manager);
  const learning = makeLearning(foundation, state);
  const forecastReport = new ForecastReport({
    forecast,
    learning,
    events,
    metrics,
    log,
    horizonMs: config.forecast.horizon,
    shedRatio: () => foundation.policy.shedRatio,
    emergencyRatio: () => foundation.policy.emergencyRatio,
  });
  const configuredBytes = config.budget.memory ?? null;
  const portable = hasProc() ? null : new PortableSource(configuredBytes);
  const source = portable ?? new ProcSource(configuredBytes, "", () => clock.monotonicMs());
  const watch = new MemoryWatch({
    clock,
    forecast,
    learning,
    report: forecastReport,
    learned,
    window,
    storage,
    metrics,
    footprintTargets,
    heldPlugins: () => heldPluginsOf(manager),
    stallPercent: () =>
      source.pressureMissingBecause === null
        ? (gaps.attempt("memory pressure", () => source.pressure("memory"))?.fullPercent ?? null)
        : null,
    requests: () => foundation.statistics.total,
  });
  const sampler = new Sampler({
    clock,
    log,
    gaps,
    source,
    window,
    intervalMs: config.monitor.interval,
    diskPath: config.monitor.disk,
    footprintTargets,
    ...(portable ? { refresh: () => portable.refresh() } : {}),
    onSample: (sample) => {
      watch.onSample(sample);
      metrics.setReservedMemory(reservedByKind(scaler));
    },
  });
  const { slowest, fastest } = config.monitor.reflex;
  const reflex = new Reflex({
    clock,
    gaps,
    limits: {
      slowestMs: slowest,
      fastestMs: fastest,
      // A reload moves it.
      get lineRatio() {
        return foundation.policy.shedRatio;
      },
    },
    read: () => source.memory(),
    onReading: (reading) => {
      onReading(reading.usedRatio);
      watch.onReading(reading);
    },
    onLate: (lateMs) => {
      metrics.observeReflexLate(lateMs / 1_000);
      if (lateMs >= toldLateMs) log.warn("monitor.late", { lateMs: Math.round(lateMs) });
    },
  });
  const scaler = new Scaler({
    clock,
    log,
    publisher: events,
    policy: foundation.policy,
    mode: config.scaler.mode,
    actuator: actuatorOf(manager, watch, learned),
    measureNow: () => reflex.readNow(),
    recorder: new AuditRecorder(storage, metrics, clock),
    shadows,
    onIntervention: (atMs, what) => watch.intervene(atMs, what),
    reservationMs: config.plugins.startTimeout,
    horizonMs: config.forecast.horizon,
    newLeaseId: () => crypto.randomUUID(),
  });
  watch.drive(scaler);
  events.on("plugin.state", ({ plugin }) => {
    const standing = manager.standing(plugin);
    if (!standing) return;
    if (standing.state === "starting") learned.started(plugin);
    if (standing.state === "ready") learned.ready(plugin, clock.nowMs());
    // What a model takes is promised by whoever loads it.
    if (manager.isPart(plugin)) return;
    scaler.onPluginState(plugin, scalingStateOf(standing.state));
  });
  const begin = () => {
    learning.begin(reflex.readNow()?.budgetBytes ?? null);
    rememberPeaks(foundation, state, manager, learned);
    warm(foundation, state, manager, window, watch);
    metrics.setObserving(config.scaler.mode === "observe");
    if (config.scaler.mode === "observe") sayThatNothingIsDone(log);
    sampler.start();
    reflex.start();
    // What is usual at this time of the day is not needed at once, and the start has more urgent things to do.
    const later = clock.after(profileAfterMs, () => learnDays(foundation, state, scaler));
    foundation.startup.onEnd("monitor", () => {
      later.cancel();
      sampler.stop();
      reflex.stop();
      learning.stop();
      void scaler.stop();
    });
  };
  return { window, gaps, watch, reflex, scaler, forecastReport, begin };
}

/** Whoever reads the log must not take it for a conductor that protects the host. */
export const sayThatNothingIsDone = (log: Log): void =>
  log.warn("scaler.observing", {
    detail: "nothing is shed or restored, not in an emergency either; what would be done is recorded",
    remedy: "set scaler.mode to act, and send HUP",
  });

/** What was learned lies beside the database. */
function makeLearning({ clock, log, events, loaded }: Foundation, state: State): ForecastLearning {
  const { storage, metrics, forecast, kernel, adaptive, stateFolder } = state;
  const statePath = stateFolder === null ? null : join(stateFolder, "forecast.state");
  const retrainMs = loaded.config.forecast.retrain;
  return new ForecastLearning({
    clock,
    log,
    events,
    metrics,
    storage,
    forecast,
    kernel,
    adaptive,
    statePath,
    retrainMs,
  });
}

/** Bytes that are promised and not taken yet, for each kind of promise. */
function reservedByKind(scaler: Scaler): Record<Promised["kind"], number> {
  const sums = { start: 0, copy: 0, lease: 0 };
  for (const promised of scaler.promised()) sums[promised.kind] += owedBytes(promised);
  return sums;
}

/** The peaks of the last hours in which each plugin was measured: what its next start reserves. */
function rememberPeaks(
  { log }: Foundation,
  { storage }: State,
  manager: PluginManager,
  learned: LearnedFootprints,
): void {
  try {
    for (const { name } of manager.list())
      learned.remember(name, storage.footprints.recentPeaks(name, mostPeaks).reverse());
  } catch (error) {
    log.warn("scaler.peaks_unread", { error });
  }
}

/** The days that are still recorded, for what is usual at this time of the day. */
function learnDays({ clock, log }: Foundation, { storage }: State, scaler: Scaler): void {
  const nowMs = clock.nowMs();
  try {
    for (const { atMs, memoryUsedBytes, memoryBudgetBytes } of storage.samples.memory(
      nowMs - weekMs,
      nowMs,
      weekRows,
    ))
      if (memoryUsedBytes !== null && memoryBudgetBytes)
        scaler.remember(memoryUsedBytes / memoryBudgetBytes, atMs);
  } catch (error) {
    log.warn("scaler.days_unread", { error });
  }
}

/** What was recorded before a restart, as far as it is not older than two windows. */
function warm(
  { loaded, startedAtMs }: Foundation,
  { storage }: State,
  manager: PluginManager,
  window: SampleWindow,
  watch: MemoryWatch,
): void {
  const { window: points, interval } = loaded.config.monitor;
  const oldestMs = startedAtMs - 2 * points * interval;
  const held = manager.list().flatMap(({ name }) => storage.footprints.range(name, oldestMs, startedAtMs));
  const footprints = Map.groupBy(held, ({ atMs }) => atMs);
  const recent = storage.samples
    .latest(points)
    .filter(({ atMs }) => atMs > oldestMs)
    .map((row) => sampleOf(row, footprints.get(row.atMs) ?? null));
  window.warm(recent);
  watch.warm(recent);
}
