/**
 * The forecast of the memory in use, as a share of the budget, by two methods side by side: the line through the last
 * samples (`ols`) and the adaptive mix. One of them is in charge; before the mix has met outcomes, the line stands in for it. A step
 * that the conductor made itself (a plugin shed or restored) is known: both go on from the history as it would have been.
 */

import type { AdaptiveForecast, AdaptiveNews, AdaptiveSeries, Calibration, MemoryTrend } from "./adaptive.ts";
import { ForecastHistory } from "./forecast-history.ts";
import type { Forecast, Forecaster, PushResult, RefusedCounts } from "./forecaster.ts";

export type ForecastMethod = "adaptive" | "ols";

export interface MemoryForecastOptions {
  method: ForecastMethod;
  horizonMs: number;
  points: number;
  minPoints: number;
  emaAlpha: number;
}

/** Shares of the budget (0..1; above 1 when it would not fit), times in milliseconds since the epoch. */
export interface MemoryForecastReport {
  method: ForecastMethod;
  state: "cold" | "ready";
  /** Points the forecast is made from. */
  points: number;
  atMs: number;
  targetMs: number;
  valueRatio: number;
  /** The moving average of the line's values; of the mix, which is smooth by itself, the value. */
  smoothedRatio: number;
  /** The 95 % interval. */
  lowerRatio: number;
  upperRatio: number;
  /** How far the interval can be trusted; null for the line, whose interval rests on assumptions alone. */
  calibration: Calibration | null;
  /**
   * How much of the way to the horizon (0..1) the history bears out. A line is borne out half as far ahead as it reaches back;
   * the mix, which is in charge once it has met outcomes, the whole way.
   */
  reachShare: number;
}

/** When and why the history was last forgotten or moved. */
export interface Restart {
  atMs: number;
  because: string;
}

/** A share of the budget at a time. */
export interface UsedPoint {
  atMs: number;
  usedRatio: number;
}

const series = "memory";
/** Points refused in a row for a clock that went back, after which the clock is taken to be right. */
const patience = 3;

export class MemoryForecast {
  readonly #forecaster: Forecaster;
  readonly #options: MemoryForecastOptions;
  readonly #history = new ForecastHistory();
  #adaptive: AdaptiveSeries;
  #restart: Restart | null = null;
  #backwardInARow = 0;
  /** Times of the line's points, the newest at `#taken` - 1, as a ring. */
  readonly #lineTimesMs: Float64Array;
  #taken = 0;

  constructor(forecaster: Forecaster, adaptive: AdaptiveSeries, options: MemoryForecastOptions) {
    this.#forecaster = forecaster;
    this.#adaptive = adaptive;
    this.#options = options;
    this.#lineTimesMs = new Float64Array(options.points);
    forecaster.track(series, {
      windowPoints: options.points,
      minPoints: options.minPoints,
      emaAlpha: options.emaAlpha,
      horizonSeconds: options.horizonMs / 1_000,
      coldHalfWidth: 100,
    });
  }

  get method(): ForecastMethod {
    return this.#options.method;
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

  /** The mix, to save it. */
  get adaptive(): AdaptiveSeries {
    return this.#adaptive;
  }

  /** Takes the share in use at a time. After a clock that went back for good, the times that are remembered follow it. */
  observe(atMs: number, usedRatio: number): PushResult {
    const result = this.#push(atMs, usedRatio);
    this.#backwardInARow = result === "backward" ? this.#backwardInARow + 1 : 0;
    if (this.#backwardInARow < patience) return result;
    this.#restartLine(atMs, "the clock went back");
    const newest = this.#adaptive.newest();
    // One millisecond before, so that the point itself is taken.
    if (newest) this.#adaptive.moveClock((atMs - 1) / 1_000 - newest.tSeconds);
    this.#history.clear();
    return this.#push(atMs, usedRatio);
  }

  /** Forgets the history, since `because` made it one of something else. */
  restart(atMs: number, because: string): void {
    this.#restartLine(atMs, because);
    this.#adaptive.reset();
    this.#history.clear();
  }

  /** Goes on as if `history`, the oldest first, had been observed: `because` made a step, and its size is known. */
  continueAs(atMs: number, because: string, history: readonly UsedPoint[]): void {
    this.#restartLine(atMs, because);
    this.#history.goBack(this.#adaptive, (history[0]?.atMs ?? Number.POSITIVE_INFINITY) / 1_000);
    const newest = this.#adaptive.newest();
    const same = newest && history.findLast(({ atMs: at }) => at / 1_000 <= newest.tSeconds);
    if (newest && same) this.#adaptive.shift(same.usedRatio * 100 - newest.value);
    for (const point of history) this.#push(point.atMs, point.usedRatio);
  }

  /** Takes over another mix, trained elsewhere; its level follows what this one knows of the same time. */
  adopt(adaptive: AdaptiveSeries): void {
    const [known, trained] = [this.#adaptive.newest(), adaptive.newest()];
    if (known && trained && known.tSeconds === trained.tSeconds) adaptive.shift(known.value - trained.value);
    this.#adaptive = adaptive;
    this.#history.clear();
  }

  /**
   * The forecast of the method in charge at the newest point; null before the first. The mix takes charge with the first
   * outcomes that its interval is judged by.
   */
  report(): MemoryForecastReport | null {
    const mix = this.#options.method === "adaptive" ? this.mix() : null;
    return mix && mix.judged > 0 ? this.#reportOf(mix) : this.lineReport();
  }

  /** The line's forecast, whoever is in charge. */
  line(): Forecast | null {
    return this.#forecaster.forecast(series);
  }

  /** The mix's forecast, in percent of the budget, whoever is in charge. */
  mix(): AdaptiveForecast | null {
    return this.#adaptive.forecast();
  }

  lineReport(): MemoryForecastReport | null {
    const forecast = this.line();
    return forecast && { ...lineReport(forecast), reachShare: this.#lineReachShare() };
  }

  adaptiveReport(): MemoryForecastReport | null {
    const forecast = this.mix();
    return forecast && this.#reportOf(forecast);
  }

  #reportOf(forecast: AdaptiveForecast): MemoryForecastReport {
    const enough = forecast.points >= this.#options.minPoints;
    return { ...mixReport(forecast), state: enough ? "ready" : "cold" };
  }

  #lineReachShare(): number {
    const size = this.#lineTimesMs.length;
    if (this.#taken < 2) return 0;
    const newestMs = this.#lineTimesMs[(this.#taken - 1) % size] ?? 0;
    const oldestMs = this.#lineTimesMs[Math.max(0, this.#taken - size) % size] ?? 0;
    return Math.min(1, (newestMs - oldestMs) / 2 / this.#options.horizonMs);
  }

  /** Where the newest points lead; `thresholdRatio` is the line to be crossed. */
  trend(thresholdRatio: number): MemoryTrend {
    this.#adaptive.setThreshold(thresholdRatio * 100);
    return this.#adaptive.trend();
  }

  /** What the newest point made known. */
  news(): AdaptiveNews {
    return this.#adaptive.news();
  }

  #push(atMs: number, usedRatio: number): PushResult {
    const tSeconds = atMs / 1_000;
    const result = this.#forecaster.observe(series, tSeconds, usedRatio * 100);
    if (result === "accepted") this.#lineTimesMs[this.#taken++ % this.#lineTimesMs.length] = atMs;
    const line = this.#forecaster.forecastValue(series);
    const newest = this.#adaptive.newest();
    const isNew = newest === null || tSeconds > newest.tSeconds;
    if (result !== "accepted" || line === null || !isNew) return result;
    this.#adaptive.push(tSeconds, usedRatio * 100, line);
    this.#history.note(this.#adaptive);
    return result;
  }

  #restartLine(atMs: number, because: string): void {
    this.#forecaster.restart(series);
    this.#taken = 0;
    this.#backwardInARow = 0;
    this.#restart = { atMs, because };
  }
}

const lineReport = (forecast: Forecast): Omit<MemoryForecastReport, "reachShare"> => ({
  method: "ols",
  state: forecast.state,
  points: forecast.points,
  atMs: forecast.atSeconds * 1_000,
  targetMs: forecast.targetSeconds * 1_000,
  valueRatio: forecast.value / 100,
  smoothedRatio: forecast.smoothed / 100,
  lowerRatio: forecast.lower / 100,
  upperRatio: forecast.upper / 100,
  calibration: null,
});

const mixReport = (forecast: AdaptiveForecast): Omit<MemoryForecastReport, "state"> => ({
  method: "adaptive",
  points: forecast.points,
  atMs: forecast.atSeconds * 1_000,
  targetMs: forecast.targetSeconds * 1_000,
  valueRatio: forecast.value / 100,
  smoothedRatio: forecast.value / 100,
  lowerRatio: forecast.lower / 100,
  upperRatio: forecast.upper / 100,
  calibration: forecast.calibration,
  reachShare: 1,
});
