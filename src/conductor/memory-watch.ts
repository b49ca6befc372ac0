/**
 * From the host to the scaler: samples feed the forecast, readings feed the scaler.
 *
 *   tick   -> sample -> window, forecast, storage, metrics -> scaler
 *   reflex -> reading ------------------------------------> scaler
 */

import type { Clock } from "../clock.ts";
import { formatBytes } from "../config/units.ts";
import type { MemoryForecast, MemoryForecastReport } from "../forecast/memory-forecast.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { MemoryReading } from "../monitor/budget.ts";
import {
  cgroupFootprint,
  type FootprintReading,
  type FootprintTarget,
  footprints,
} from "../monitor/footprint.ts";
import { pssBytes } from "../monitor/process-memory.ts";
import type { Sample } from "../monitor/sample.ts";
import type { SampleWindow } from "../monitor/window.ts";
import type { LearnedFootprints } from "../scaler/footprints.ts";
import type { Scaler } from "../scaler/scaler.ts";
import type { ForecastFacts } from "../scaler/situation.ts";
import type { Storage } from "../storage/storage.ts";
import { usedWith } from "./counterfactual.ts";
import { rowOf } from "./sample-rows.ts";

export interface MemoryWatchOptions {
  clock: Clock;
  forecast: MemoryForecast;
  learned: LearnedFootprints;
  window: SampleWindow;
  storage: Storage;
  metrics: Metrics;
  footprintTargets: () => readonly FootprintTarget[];
  /** Names of the plugins that run now. */
  heldPlugins: () => ReadonlySet<string>;
}

/** Footprints that cost microseconds are learned this often between samples. */
const learnEveryMs = 1_000;

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  /** The newest footprint of each plugin that runs. */
  #footprints = new Map<string, FootprintReading>();
  /** As last sampled. */
  #budget: { budgetBytes: number; cgroup: string | null } | null = null;
  #learnedAtMs = Number.NEGATIVE_INFINITY;
  #scaler: Scaler | null = null;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** Readings and forecasts go to `scaler` from now on. */
  drive(scaler: Scaler): void {
    this.#scaler = scaler;
  }

  /** The footprint as last measured; null when it was not. */
  footprintOf(plugin: string): FootprintReading | null {
    return this.#footprints.get(plugin) ?? null;
  }

  /** The footprint now; null when it cannot be read. */
  measureFootprint(plugin: string): number | null {
    const targets = this.#options.footprintTargets().filter((target) => target.plugin === plugin);
    const [reading] = footprints(targets);
    return reading?.bytes ?? null;
  }

  /**
   * A change of our own made a step in memory. The forecast goes on from the history as it would have been with the
   * plugins that run now: without those that were shed, with those that were restored.
   */
  intervene(atMs: number, what: string): void {
    const { forecast, window, learned, heldPlugins } = this.#options;
    forecast.restart(atMs, what);
    const held = heldPlugins();
    for (const sample of window.history()) {
      const usedBytes = usedWith(sample, held, (plugin) => learned.usualBytes(plugin));
      const budgetBytes = sample.memory?.budgetBytes;
      if (usedBytes !== null && budgetBytes !== undefined && budgetBytes === this.#budget?.budgetBytes)
        forecast.observe(sample.atMs, usedBytes / budgetBytes);
    }
    const report = forecast.report();
    this.#scaler?.setForecast(report && factsOf(report));
  }

  onReading(reading: MemoryReading): void {
    this.#learnBetweenSamples();
    this.#scaler?.onReading(reading);
  }

  onSample(sample: Sample): void {
    const { clock, storage, metrics } = this.#options;
    const beginMs = clock.monotonicMs();
    storage.samples.insert(rowOf(sample));
    if (sample.footprints) this.#keepFootprints(sample.atMs, sample.footprints);
    if (sample.memory) this.#observe(sample.atMs, sample.memory);
    this.#show(sample);
    if (sample.memory) this.#scaler?.onReading(sample.memory);
    storage.maintain();
    metrics.observeTick((clock.monotonicMs() - beginMs) / 1_000);
  }

  /** Takes what was recorded before a restart into the forecast, the oldest first. */
  warm(samples: readonly Sample[]): void {
    for (const { atMs, memory } of samples) {
      if (!memory) continue;
      this.#options.forecast.observe(atMs, memory.usedRatio);
    }
  }

  #observe(atMs: number, { usedRatio, budgetBytes, cgroup }: MemoryReading): void {
    const { forecast, metrics } = this.#options;
    const before = this.#budget;
    this.#budget = { budgetBytes, cgroup };
    // Another constraint taking the lead makes no step: the larger share always counts. A moved limit does.
    if (before && before.cgroup === cgroup && before.budgetBytes !== budgetBytes)
      forecast.restart(
        atMs,
        `the budget changed from ${formatBytes(before.budgetBytes)} to ${formatBytes(budgetBytes)}`,
      );
    const result = forecast.observe(atMs, usedRatio);
    if (result !== "accepted") metrics.countRefusedSample(result);
    const report = forecast.report();
    metrics.setForecast(report, report?.state ?? "none");
    this.#scaler?.setForecast(report && factsOf(report));
  }

  #keepFootprints(atMs: number, readings: readonly FootprintReading[]): void {
    const { learned, storage, metrics } = this.#options;
    this.#footprints = new Map(readings.map((reading) => [reading.plugin, reading]));
    for (const { plugin, bytes, method } of readings) {
      learned.learn(plugin, bytes);
      metrics.setPluginFootprint(plugin, bytes, method);
    }
    storage.footprints.insert(readings.map((reading) => ({ atMs, ...reading })));
  }

  #learnBetweenSamples(): void {
    const { clock, learned, footprintTargets } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#learnedAtMs < learnEveryMs) return;
    this.#learnedAtMs = nowMs;
    for (const target of footprintTargets()) {
      const reading = cgroupFootprint(target);
      if (!reading) continue;
      this.#footprints.set(target.plugin, reading);
      learned.learn(target.plugin, reading.bytes);
    }
  }

  #show({ memory, cpuPercent, disk, load, pressure }: Sample): void {
    const { metrics } = this.#options;
    metrics.setMemory(memory?.usedBytes ?? null, memory?.budgetBytes ?? null);
    metrics.setProcessMemory(pssBytes("self"));
    metrics.setResources({
      cpu_percent: cpuPercent,
      memory_percent: memory && memory.usedRatio * 100,
      memory_used_bytes: memory?.usedBytes ?? null,
      memory_budget_bytes: memory?.budgetBytes ?? null,
      swap_used_bytes: memory?.swapUsedBytes ?? null,
      swap_total_bytes: memory?.swapTotalBytes ?? null,
      disk_percent: disk?.usedPercent ?? null,
      disk_free_bytes: disk?.freeBytes ?? null,
      load1: load?.load1 ?? null,
      load5: load?.load5 ?? null,
      load15: load?.load15 ?? null,
      swap_percent: swapPercent(memory),
      psi_memory_some_percent: pressure.memory?.somePercent ?? null,
      psi_memory_full_percent: pressure.memory?.fullPercent ?? null,
      psi_cpu_some_percent: pressure.cpu?.somePercent ?? null,
      psi_io_some_percent: pressure.io?.somePercent ?? null,
      psi_io_full_percent: pressure.io?.fullPercent ?? null,
    });
  }
}

/** Null without swap: there is no share of nothing. */
function swapPercent(memory: MemoryReading | null): number | null {
  const { swapUsedBytes, swapTotalBytes } = memory ?? {};
  return swapTotalBytes && typeof swapUsedBytes === "number" ? (100 * swapUsedBytes) / swapTotalBytes : null;
}

const factsOf = (report: MemoryForecastReport): ForecastFacts => ({
  state: report.state,
  atMs: report.atMs,
  valueRatio: report.valueRatio,
  smoothedRatio: report.smoothedRatio,
  lowerRatio: report.lowerRatio,
  upperRatio: report.upperRatio,
});
