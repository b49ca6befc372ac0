/** The words of the adaptive forecaster; how it works is explained in `assembly/adaptive/`. */
import type { PushResult, RefusedCounts } from "./forecaster.ts";

export interface AdaptiveOptions {
  /** How far ahead of the newest point the forecast looks, above 0. */
  readonly horizonSeconds: number;
  /** The line whose crossing `trend` looks for, in the value's unit. */
  readonly threshold: number;
  /** Half-width of the interval while nothing is known, in the value's unit. */
  readonly coldHalfWidth: number;
}

/** Whoever's forecasts are mixed, in the order of the kernel's memory. */
export const expertNames = [
  "last",
  "line",
  "scales",
  "autoregression",
  "periodic",
  "damped",
  "mean",
] as const;
export type ExpertName = (typeof expertNames)[number];

/**
 * How far the interval can be trusted: `calibrating` while fewer than twenty horizons have passed; `miscalibrated` when
 * lately fewer than 90 % of the outcomes lay inside.
 */
export type Calibration = "calibrating" | "calibrated" | "miscalibrated";

/** A forecast made at the newest point for `horizonSeconds` later, in the value's unit. Every number is finite. */
export interface AdaptiveForecast {
  calibration: Calibration;
  /** Points since the beginning. */
  points: number;
  atSeconds: number;
  targetSeconds: number;
  value: number;
  /** 95 % of the outcomes lie between these two. */
  lower: number;
  upper: number;
  /** 95 % of the outcomes lie above this one, and 95 % below that. */
  atLeast: number;
  atMost: number;
  /** Share of the outcomes that lay inside, since the beginning and lately; null before there were any. */
  coverage: number | null;
  recentCoverage: number | null;
  /** Outcomes that the interval was judged by. */
  judged: number;
  /** Usual absolute error of the forecasts; null before there were any. */
  usualError: number | null;
  /** Shares of the experts in `value`; they sum to 1. */
  weights: Record<ExpertName, number>;
}

/** Where the last 50 points lead. */
export interface MemoryTrend {
  slopePerSecond: number;
  /** 95 % bounds of the slope. */
  slopeLower: number;
  slopeUpper: number;
  /** Whether the slope differs from none. */
  significant: boolean;
  /** Seconds until the threshold, with its 95 % bounds; null without a significant rise. 0 when it is crossed. */
  crossing: { seconds: number; earliestSeconds: number; latestSeconds: number } | null;
}

/** What the newest point made known. */
export interface AdaptiveNews {
  /** The outcome's distance from its forecast, in half-widths of that one's interval; 0 without an outcome. */
  surprise: number;
  /** Rise within 30 s over what is usual at most; 0 where there is none to speak of. */
  riseRatio: number;
  /** The errors have risen for good, and the experts began anew. */
  drifted: boolean;
}

/** An adaptive forecaster of one quantity, in bounded memory. */
export interface AdaptiveSeries {
  readonly options: AdaptiveOptions;
  readonly kernelName: "wasm" | "js";
  readonly refused: RefusedCounts;
  /** Times that a drift was found. */
  readonly drifts: number;
  /** Takes a point; `line` is what the fitted line forecasts at it. Times are seconds since the epoch. */
  push(tSeconds: number, value: number, line: number): PushResult;
  /** The forecast at the newest point; null while empty. */
  forecast(): AdaptiveForecast | null;
  /** Only the forecast and its interval, into `to`; false while empty. */
  read(to: { value: number; lower: number; upper: number }): boolean;
  trend(): MemoryTrend;
  news(): AdaptiveNews;
  /** Time and value of the newest point; null while empty. */
  newest(): { tSeconds: number; value: number } | null;
  /** Moves every level that is remembered by a step whose cause is known. */
  shift(step: number): void;
  /** Moves every time that is remembered, since the clock was set by `seconds`. */
  moveClock(seconds: number): void;
  /** Another line for `trend`, in the value's unit. */
  setThreshold(threshold: number): void;
  /** Forgets everything. */
  reset(): void;
  /** A copy of the whole memory, in `into` where an earlier copy has no use any more. */
  save(into?: Float64Array): Float64Array;
  /** Takes over a memory that `save` gave, of the same layout. Throws a `RangeError` for one of another length. */
  restore(cells: Float64Array): void;
}

/** An implementation of the arithmetic. Both give the same bits. */
export interface AdaptiveKernel {
  readonly name: "wasm" | "js";
  createSeries(options: AdaptiveOptions): AdaptiveSeries;
}
