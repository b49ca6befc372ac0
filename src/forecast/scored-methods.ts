/** The forecasters that are scored against each other: add one here, and it is in every table. */
import type { AdaptiveKernel, AdaptiveSeries } from "./adaptive.ts";
import type { Kernel, Series } from "./forecaster.ts";
import { LastValue } from "./last-value.ts";

/** A forecast of one number, in the value's unit, with its 95 % interval. */
export interface PointForecast {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** A forecaster under test, made afresh for each series. */
export interface ScoredMethod {
  /** Takes a point. Times rise by at least 1 µs; both numbers lie within ±1e100. */
  push(tSeconds: number, value: number): void;
  /**
   * The forecast made at the newest point for the horizon later; null, or numbers that are not finite, while there is
   * none. The object may be the same at every call.
   */
  forecast(): PointForecast | null;
  /** Gives back what the method holds outside of the heap. */
  dispose?(): void;
}

export interface MethodFactory {
  /** As in the tables; unique. */
  readonly name: string;
  create(horizonSeconds: number): ScoredMethod;
}

/** Every method, in the order of the tables. The ratios are to the last three. */
export function scoredMethods(kernel: Kernel, adaptive: AdaptiveKernel): MethodFactory[] {
  return [
    adaptiveFactory(kernel, adaptive),
    { name: "ols", create: (horizonSeconds) => lineOf(kernel.createSeries({ horizonSeconds })) },
    { name: "ols_ema", create: (horizonSeconds) => averageOf(kernel.createSeries({ horizonSeconds })) },
    { name: "last", create: (horizonSeconds) => new LastValue(horizonSeconds) },
  ];
}

/** The mix of experts, one of which is the line, with its conformal interval. One memory serves series after series. */
function adaptiveFactory(kernel: Kernel, adaptive: AdaptiveKernel): MethodFactory {
  let kept: AdaptiveSeries | null = null;
  return {
    name: "adaptive",
    create: (horizonSeconds) => {
      if (kept?.options.horizonSeconds !== horizonSeconds)
        kept = adaptive.createSeries({ horizonSeconds, threshold: 80, coldHalfWidth: 100 });
      else kept.reset();
      return adaptiveOf(kept, kernel.createSeries({ horizonSeconds }));
    },
  };
}

function adaptiveOf(series: AdaptiveSeries, line: Series): ScoredMethod {
  const forecast = { value: 0, lower: 0, upper: 0 };
  return {
    push: (tSeconds, value) => {
      line.push(tSeconds, value);
      series.push(tSeconds, value, line.forecastValue() ?? value);
    },
    forecast: () => (series.read(forecast) ? forecast : null),
    dispose: () => line.dispose(),
  };
}

/** The line through the last 50 points, with its Gaussian interval. */
function lineOf(series: Series): ScoredMethod {
  return {
    push: (tSeconds, value) => void series.push(tSeconds, value),
    forecast: () => series.forecast(),
    dispose: () => series.dispose(),
  };
}

/** The moving average (0.7) of the line's forecasts, with the interval of the line. */
function averageOf(series: Series): ScoredMethod {
  const smoothed = { value: 0, lower: 0, upper: 0 };
  return {
    push: (tSeconds, value) => void series.push(tSeconds, value),
    forecast: () => {
      const forecast = series.forecast();
      if (forecast === null) return null;
      smoothed.value = forecast.smoothed;
      smoothed.lower = forecast.lower;
      smoothed.upper = forecast.upper;
      return smoothed;
    },
    dispose: () => series.dispose(),
  };
}
