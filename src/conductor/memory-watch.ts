/**
 * From the host to the scaler: samples feed the forecast, readings feed the scaler.
 *
 *   tick   -> sample -> window, forecast, storage, metrics -> scaler
 *   reflex -> reading ------------------------------------> scaler
 */

import type { Clock } from "../clock.ts";
import type { MemoryForecast } from "../forecast/memory-forecast.ts";
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
import type { Storage } from "../storage/storage.ts";
import { ForecastFeed } from "./forecast-feed.ts";
import type { ForecastLearning } from "./forecast-learning.ts";
import type { ForecastReport } from "./forecast-report.ts";
import { rowOf } from "./sample-rows.ts";

export interface MemoryWatchOptions {
  clock: Clock;
  forecast: MemoryForecast;
  learning: ForecastLearning;
  report: ForecastReport;
  learned: LearnedFootprints;
  window: SampleWindow;
  storage: Storage;
  metrics: Metrics;
  footprintTargets: () => readonly FootprintTarget[];
  /** Names of the plugins that run now. */
  heldPlugins: () => ReadonlySet<string>;
  /** Percent of the last 10 s in which everything waited for memory, read now; null where the kernel does not tell. */
  stallPercent: () => number | null;
  /** All requests so far. */
  requests: () => number;
}

/** Takes each reading before the scaler does. */
export interface ReadingTaker {
  onReading(reading: MemoryReading): void;
}

/** Over this share of the budget it is asked whether everything waits for memory: below, nothing does. */
const stallFromRatio = 0.5;
/** Footprints that cost microseconds are learned this often between samples. */
const learnEveryMs = 1_000;

/** The kernel walks every page of the process for it: a third of a tick's work. */
const ownMemoryEveryMs = 30_000;

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #feed: ForecastFeed;
  /** The newest footprint of each plugin that runs. */
  #footprints = new Map<string, FootprintReading>();
  #learnedAtMs = Number.NEGATIVE_INFINITY;
  #ownMemoryAtMs = Number.NEGATIVE_INFINITY;
  #scaler: Scaler | null = null;
  /** Local models, which give way before plugins do; null: there are none. */
  models: ReadingTaker | null = null;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
    this.#feed = new ForecastFeed({
      forecast: options.forecast,
      window: options.window,
      learned: options.learned,
      onRefused: (reason) => options.metrics.countRefusedSample(reason),
      onBudget: (bytes, because) => options.learning.budgetChanged(bytes, because),
    });
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

  /** A plugin was shed or restored: the forecast goes on as if what runs now had always run. */
  intervene(atMs: number, what: string): void {
    this.#feed.rebuild(atMs, what, this.#options.heldPlugins());
    this.#scaler?.setForecast(this.#feed.facts());
  }

  onReading(reading: MemoryReading): void {
    this.#lookBetweenSamples(reading);
    this.models?.onReading(reading);
    this.#scaler?.onReading(reading);
  }

  onSample(sample: Sample): void {
    const { clock, storage, metrics } = this.#options;
    const beginMs = clock.monotonicMs();
    storage.samples.insert(rowOf(sample));
    if (sample.footprints) this.#keepFootprints(sample.atMs, sample.footprints);
    this.#observe(sample);
    this.#show(sample);
    if (sample.memory) {
      this.#scaler?.onSample(sample.memory.usedRatio, this.#options.requests());
      this.#scaler?.onReading(sample.memory);
    }
    storage.maintain();
    metrics.observeTick((clock.monotonicMs() - beginMs) / 1_000);
  }

  /** Takes what was recorded before a restart, the oldest first. */
  warm(samples: readonly Sample[]): void {
    for (const { footprints: readings } of samples)
      for (const { plugin, bytes } of readings ?? []) this.#options.learned.learn(plugin, bytes);
    this.#feed.warm(samples);
  }

  #observe(sample: Sample): void {
    this.#feed.observe(sample);
    this.#options.report.onPoint(sample.atMs);
    this.#scaler?.setForecast(this.#feed.facts());
  }

  #keepFootprints(atMs: number, readings: readonly FootprintReading[]): void {
    const { learned, storage, metrics } = this.#options;
    const measured = new Set(readings.map(({ plugin }) => plugin));
    for (const { plugin, method } of this.#footprints.values())
      if (!measured.has(plugin)) metrics.setPluginFootprint(plugin, null, method);
    this.#footprints = new Map(readings.map((reading) => [reading.plugin, reading]));
    for (const { plugin, bytes, method } of readings) {
      learned.learn(plugin, bytes, atMs);
      metrics.setPluginFootprint(plugin, bytes, method);
    }
    storage.footprints.insert(readings.map((reading) => ({ atMs, ...reading })));
  }

  #lookBetweenSamples({ usedRatio }: MemoryReading): void {
    const { clock, learned, footprintTargets, stallPercent } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#learnedAtMs < learnEveryMs) return;
    this.#learnedAtMs = nowMs;
    this.#scaler?.onStall(usedRatio < stallFromRatio ? null : stallPercent());
    for (const target of footprintTargets()) {
      const reading = cgroupFootprint(target);
      if (!reading) continue;
      this.#footprints.set(target.plugin, reading);
      learned.learn(target.plugin, reading.bytes, clock.nowMs());
    }
  }

  #showOwnMemory(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#ownMemoryAtMs < ownMemoryEveryMs) return;
    this.#ownMemoryAtMs = nowMs;
    this.#options.metrics.setProcessMemory(pssBytes("self"));
  }

  #show({ memory, cpuPercent, disk, load, pressure }: Sample): void {
    const { metrics } = this.#options;
    metrics.setMemory(memory?.usedBytes ?? null, memory?.budgetBytes ?? null);
    this.#showOwnMemory();
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
