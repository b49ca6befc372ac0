/**
 * What the adaptive forecast has learned, over restarts and over time.
 *
 *   start ── saved state fits ──▶ goes on with it
 *     └──── none, or refused ───▶ training on what is stored ──▶ adopted
 *   every `retrainMs` ──────────▶ training on what is stored ──▶ adopted unless its error is larger
 *   the budget changed ─────────▶ training on what is stored ──▶ adopted
 *
 * Each of these is kept with its reason. A training takes small slices of time, so that the loop goes on.
 */

import { type Clock, every, type Timer } from "../clock.ts";
import { formatBytes } from "../config/units.ts";
import type { EventBus } from "../events/bus.ts";
import type { AdaptiveKernel, AdaptiveSeries } from "../forecast/adaptive.ts";
import { decodeState, encodeState } from "../forecast/adaptive-state.ts";
import type { Kernel, Series } from "../forecast/forecaster.ts";
import type { MemoryForecast } from "../forecast/memory-forecast.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { readStateFile, writeStateFile } from "../storage/state-file.ts";
import type { Storage } from "../storage/storage.ts";

export interface ForecastLearningOptions {
  clock: Clock;
  log: Log;
  events: EventBus;
  metrics: Metrics;
  storage: Storage;
  forecast: MemoryForecast;
  kernel: Kernel;
  adaptive: AdaptiveKernel;
  /** Null: the state is in memory, and what was learned goes with the process. */
  statePath: string | null;
  retrainMs: number;
}

/** Why a training was made. */
export type TrainingTrigger = "start" | "state" | "schedule" | "budget" | "drift";

const dayMs = 86_400_000;
/** Trainings look this far back; as long as samples are kept by default. */
const trainedOnMs = 7 * dayMs;
const saveEveryMs = 600_000;
const sliceRows = 200;
/** Between two slices of a training. */
const pauseMs = 20;
/** With fewer stored points there is nothing to train on. */
const fewestPoints = 10;
/** A training on schedule may have an error larger by this share, since it saw other points. */
const tolerance = 0.1;
const mostStateBytes = 2 ** 22;

interface Training {
  trigger: TrainingTrigger;
  reason: string;
  budgetBytes: number;
  series: AdaptiveSeries;
  line: Series;
  afterMs: number;
  points: number;
}

export class ForecastLearning {
  readonly #options: ForecastLearningOptions;
  #budgetBytes: number | null = null;
  #training: Training | null = null;
  #slice: Timer | null = null;
  #timers: Timer[] = [];
  #saveFailed = false;

  constructor(options: ForecastLearningOptions) {
    this.#options = options;
  }

  /** Takes over the saved state, or trains on what is stored; then saves and trains on schedule. */
  begin(budgetBytes: number | null): void {
    const { clock, retrainMs } = this.#options;
    this.#budgetBytes = budgetBytes;
    const refused = budgetBytes === null ? "memory has not been measured" : this.#restore(budgetBytes);
    if (refused !== null) this.#train(refused === "" ? "start" : "state", refused || "nothing was saved");
    this.#timers = [
      every(clock, saveEveryMs, () => this.#save()),
      every(clock, retrainMs, () => this.#train("schedule", "it was time")),
    ];
  }

  /** Numbers are percent of the budget: with another one everything is learned anew. */
  budgetChanged(budgetBytes: number, because: string): void {
    if (budgetBytes === this.#budgetBytes) return;
    const first = this.#budgetBytes === null;
    this.#budgetBytes = budgetBytes;
    this.#train(first ? "start" : "budget", because);
  }

  /** The errors rose for good, and the experts began anew. */
  drifted(atMs: number): void {
    const mix = this.#options.forecast.mix();
    const usual = mix?.usualError ?? null;
    const reason = "the errors rose for good: the experts are weighed anew";
    this.#keep(atMs, { trigger: "drift", reason }, true, mix?.points ?? 0, usual, usual);
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#slice?.cancel();
    this.#end();
    this.#save();
  }

  /** Why the saved state is not gone on with: in words, empty where there is none, null where it is. */
  #restore(budgetBytes: number): string | null {
    const { statePath, forecast, log } = this.#options;
    if (statePath === null) return "";
    const bytes = readStateFile(statePath, mostStateBytes);
    if (bytes === null) return "";
    const { horizonSeconds } = forecast.adaptive.options;
    const state =
      "problem" in bytes
        ? { refusedBecause: bytes.problem }
        : decodeState(bytes, { horizonSeconds, budgetBytes });
    if ("refusedBecause" in state) {
      log.warn("forecast.state_refused", { path: statePath, because: state.refusedBecause });
      return `the saved state was refused: ${state.refusedBecause}`;
    }
    forecast.adaptive.restore(state.cells);
    log.info("forecast.state_restored", { savedAt: new Date(state.savedAtMs).toISOString() });
    return null;
  }

  #save(): void {
    const { statePath, forecast, clock, log } = this.#options;
    if (statePath === null || this.#budgetBytes === null || forecast.adaptive.newest() === null) return;
    const { horizonSeconds } = forecast.adaptive.options;
    const failed = writeStateFile(
      statePath,
      encodeState({
        horizonSeconds,
        budgetBytes: this.#budgetBytes,
        savedAtMs: clock.nowMs(),
        cells: forecast.adaptive.save(),
      }),
    );
    if (failed && !this.#saveFailed)
      log.warn("forecast.state_not_saved", {
        path: statePath,
        because: failed.problem,
        remedy: "free the disk or make the folder writable; until then a restart trains on what is stored",
      });
    this.#saveFailed = failed !== null;
  }

  #train(trigger: TrainingTrigger, reason: string): void {
    const { clock, kernel, adaptive, forecast } = this.#options;
    if (this.#budgetBytes === null) return;
    this.#slice?.cancel();
    this.#end();
    const { horizonSeconds } = forecast.adaptive.options;
    this.#training = {
      trigger,
      reason,
      budgetBytes: this.#budgetBytes,
      series: adaptive.createSeries(forecast.adaptive.options),
      line: kernel.createSeries({ horizonSeconds }),
      afterMs: clock.nowMs() - trainedOnMs,
      points: 0,
    };
    this.#slice = clock.after(pauseMs, () => this.#takeSlice());
  }

  #takeSlice(): void {
    const { clock, storage, log } = this.#options;
    const training = this.#training;
    if (!training) return;
    try {
      const rows = storage.samples.memory(training.afterMs, clock.nowMs(), sliceRows);
      for (const { atMs, memoryUsedBytes } of rows) learnPoint(training, atMs, memoryUsedBytes ?? 0);
      if (rows.length === sliceRows) this.#slice = clock.after(pauseMs, () => this.#takeSlice());
      else this.#finish(training);
    } catch (error) {
      log.warn("forecast.training_failed", { trigger: training.trigger, error });
      this.#end();
    }
  }

  #finish(training: Training): void {
    const { clock, forecast } = this.#options;
    const before = forecast.mix()?.usualError ?? null;
    const after = training.series.forecast()?.usualError ?? null;
    const { trigger, points, series } = training;
    const worse = before !== null && (after === null || after > before * (1 + tolerance));
    const enough = points >= fewestPoints;
    const adopted = enough && !(trigger === "schedule" && worse);
    if (adopted) forecast.adopt(series);
    // A new host has nothing stored: no training took place.
    if (enough) this.#keep(clock.nowMs(), training, adopted, points, before, after);
    this.#end();
  }

  #end(): void {
    this.#training?.line.dispose();
    this.#training = null;
    this.#slice = null;
  }

  #keep(
    atMs: number,
    { trigger, reason }: { trigger: TrainingTrigger; reason: string },
    adopted: boolean,
    points: number,
    errorBefore: number | null,
    errorAfter: number | null,
  ): void {
    const { storage, events, metrics, log } = this.#options;
    const facts = { trigger, reason, adopted, points, errorBefore, errorAfter };
    storage.trainings.insert({ atMs, ...facts, adopted: adopted ? 1 : 0 });
    events.publish("forecast.trained", facts);
    metrics.countForecastTraining(trigger, adopted);
    log.info("forecast.trained", facts);
  }
}

function learnPoint(training: Training, atMs: number, usedBytes: number): void {
  const { series, line, budgetBytes } = training;
  const percent = (100 * usedBytes) / budgetBytes;
  training.afterMs = atMs;
  if (line.push(atMs / 1_000, percent) !== "accepted") return;
  series.push(atMs / 1_000, percent, line.forecastValue() ?? percent);
  training.points += 1;
}

/** Why the history began anew, for a budget that was changed. */
export const budgetChange = (before: number, now: number): string =>
  `the budget changed from ${formatBytes(before)} to ${formatBytes(now)}`;
