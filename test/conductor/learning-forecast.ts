/** A memory forecast that learns, on a clock that is turned by hand, with a real database and a real state file. */

import { join } from "node:path";
import { VirtualClock } from "../../src/clock.ts";
import { ForecastLearning } from "../../src/conductor/forecast-learning.ts";
import { EventBus } from "../../src/events/bus.ts";
import type { EventMap } from "../../src/events/events.ts";
import { createJsAdaptiveKernel } from "../../src/forecast/adaptive-kernels.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { MemoryForecast } from "../../src/forecast/memory-forecast.ts";
import { createForecaster } from "../../src/forecast/named-series.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { sampleAt } from "../storage/rows.ts";
import { recordedLog } from "../storage/scratch.ts";

export const budgetBytes = 12 * 2 ** 30;
export const startMs = Date.UTC(2026, 0, 5);
export const stepMs = 30_000;

/** 50 % of the budget, up and down by up to 2.5 %, the same for the same time. */
export const usedBytesAt = (atMs: number): number =>
  budgetBytes * (0.5 + ((Math.round(atMs / stepMs) * 7919) % 1009) / 20_000 - 0.025);

/** Stores the `count` samples before `untilMs`. */
export function storeSamples(storage: Storage, count: number, untilMs: number): void {
  for (let i = count; i > 0; i--) {
    const atMs = untilMs - i * stepMs;
    storage.samples.insert(sampleAt(atMs, usedBytesAt(atMs)));
  }
}

export interface LearningOptions {
  storage: Storage;
  /** Null: nothing is kept. */
  folder: string | null;
  nowMs?: number;
  horizonSeconds?: number;
}

export function learningForecast({
  storage,
  folder,
  nowMs = startMs,
  horizonSeconds = 300,
}: LearningOptions) {
  const clock = new VirtualClock(nowMs);
  const { log, lines } = recordedLog();
  const [kernel, adaptive] = [createJsKernel(), createJsAdaptiveKernel()];
  const options = { method: "adaptive", points: 50, minPoints: 10, emaAlpha: 0.7 } as const;
  const mix = adaptive.createSeries({ horizonSeconds, threshold: 80, coldHalfWidth: 100 });
  const forecast = new MemoryForecast(createForecaster(kernel), mix, {
    ...options,
    horizonMs: horizonSeconds * 1_000,
  });
  const events = new EventBus(clock, log);
  const trained: EventMap["forecast.trained"][] = [];
  events.on("forecast.trained", (data) => trained.push(data));
  const metrics = new Metrics(
    { version: "0", commit: "0", kernel: "js" },
    { plugin: [], forecast: [], calibration: [] },
  );
  const learning = new ForecastLearning({
    clock,
    log,
    events,
    metrics,
    storage,
    forecast,
    kernel,
    adaptive,
    statePath: folder === null ? null : join(folder, "forecast.state"),
    retrainMs: 86_400_000,
  });
  return { clock, lines, forecast, learning, trained, metrics };
}
