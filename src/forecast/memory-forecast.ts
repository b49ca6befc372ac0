/**
 * The forecast of the memory in use, as a share of the budget. Points before a change that the conductor made itself
 * (a plugin shed or restored) are forgotten: the step is known, and a line through it would point nowhere.
 */

import type { Forecast, Forecaster, PushResult, RefusedCounts } from "./forecaster.ts";

export interface MemoryForecastOptions {
  horizonMs: number;
  points: number;
  minPoints: number;
  emaAlpha: number;
}

/** Shares of the budget (0..1; above 1 when it would not fit), times in milliseconds since the epoch. */
export interface MemoryForecastReport {
  state: "cold" | "ready";
  /** Points the line is fitted to. */
  points: number;
  atMs: number;
  targetMs: number;
  valueRatio: number;
  smoothedRatio: number;
  lowerRatio: number;
  upperRatio: number;
  slopeRatioPerMinute: number;
  residualDeviationRatio: number;
}

/** When and why the history was last forgotten. */
export interface Restart {
  atMs: number;
  because: string;
}

const series = "memory";
/** Points refused in a row for a clock that went back, after which the history is forgotten. */
const patience = 3;

export class MemoryForecast {
  readonly #forecaster: Forecaster;
  #restart: Restart | null = null;
  #backwardInARow = 0;

  constructor(forecaster: Forecaster, options: MemoryForecastOptions) {
    this.#forecaster = forecaster;
    forecaster.track(series, {
      windowPoints: options.points,
      minPoints: options.minPoints,
      emaAlpha: options.emaAlpha,
      horizonSeconds: options.horizonMs / 1_000,
      coldHalfWidth: 100,
    });
  }

  get kernelName(): "wasm" | "js" {
    return this.#forecaster.kernelName;
  }

  get lastRestart(): Restart | null {
    return this.#restart;
  }

  /** Points refused so far, by reason. */
  get refused(): RefusedCounts {
    return this.#forecaster.refused(series) ?? { notFinite: 0, repeated: 0, backward: 0 };
  }

  /** Takes the share in use at a time. A clock that went back for good starts the history anew. */
  observe(atMs: number, usedRatio: number): PushResult {
    const result = this.#forecaster.observe(series, atMs / 1_000, usedRatio * 100);
    this.#backwardInARow = result === "backward" ? this.#backwardInARow + 1 : 0;
    if (this.#backwardInARow < patience) return result;
    this.restart(atMs, "the clock went back");
    return this.#forecaster.observe(series, atMs / 1_000, usedRatio * 100);
  }

  /** Forgets the history, since `because` made a step in it. */
  restart(atMs: number, because: string): void {
    this.#forecaster.restart(series);
    this.#backwardInARow = 0;
    this.#restart = { atMs, because };
  }

  /** The forecast made at the newest point; null before the first. */
  report(): MemoryForecastReport | null {
    const forecast = this.#forecaster.forecast(series);
    return forecast && asRatios(forecast);
  }
}

const asRatios = (forecast: Forecast): MemoryForecastReport => ({
  state: forecast.state,
  points: forecast.points,
  atMs: forecast.atSeconds * 1_000,
  targetMs: forecast.targetSeconds * 1_000,
  valueRatio: forecast.value / 100,
  smoothedRatio: forecast.smoothed / 100,
  lowerRatio: forecast.lower / 100,
  upperRatio: forecast.upper / 100,
  slopeRatioPerMinute: (forecast.slopePerSecond * 60) / 100,
  residualDeviationRatio: forecast.residualDeviation / 100,
});
