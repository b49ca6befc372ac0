/** The words of this folder: what a series is given, what it answers, and what a kernel is. */
import type { Batch } from "./batch.ts";

/** How one series is forecast. `resolveSeriesOptions` holds the defaults and the limits. */
export interface SeriesOptions {
  /** Points kept, 1..1024. Default 50. */
  windowPoints: number;
  /** Points from which a line is fitted, 3..`windowPoints`. Default 10, or the whole window where it is smaller. */
  minPoints: number;
  /** Weight of the newest forecast in `smoothed`, above 0 and up to 1. Default 0.7. */
  emaAlpha: number;
  /** Half-width of the interval while nothing is known, in the value's unit. Default 100 (percent). */
  coldHalfWidth: number;
  /** How far ahead of the newest point the forecast looks. Default 300. */
  horizonSeconds: number;
}

/**
 * What became of a point. `not-finite`: the time or the value is NaN, infinite, or beyond ±1e100, where sums of
 * squares would overflow. `repeated`: less than 1 µs after the newest point. `backward`: before it.
 */
export type PushResult = "accepted" | "not-finite" | "repeated" | "backward";

/** Points refused since the series was made, by reason. */
export interface RefusedCounts {
  readonly notFinite: number;
  readonly repeated: number;
  readonly backward: number;
}

/** A forecast made at the newest point for `horizonSeconds` later. Every number is finite. */
export interface Forecast {
  /** `cold`: fewer than `minPoints` points, so no line is fitted and the last value is the forecast. */
  state: "cold" | "ready";
  /** Points in the window. */
  points: number;
  /** Time of the newest point. */
  atSeconds: number;
  /** The time that the forecast is for: `atSeconds` + `horizonSeconds`. */
  targetSeconds: number;
  /** The fitted line at `targetSeconds`; the last value while cold. */
  value: number;
  /** Exponential moving average of `value`, one step an accepted point, from the first ready one; while cold, `value`. */
  smoothed: number;
  /** 95 % prediction interval of `value`: Student's t with n - 2 degrees of freedom; see `coldHalfWidth` while cold. */
  lower: number;
  upper: number;
  /** Slope of the line; 0 while cold. */
  slopePerSecond: number;
  /** Deviation of the residuals, sqrt(SSE / (n - 2)); the interval's half-width while cold. */
  residualDeviation: number;
}

/** A bounded window of one quantity, and its forecast. */
export interface Series {
  readonly options: Readonly<SeriesOptions>;
  /** The counts now; they do not change afterwards. */
  readonly refused: RefusedCounts;
  /** Takes a point. Times are seconds on any scale that only moves forward: a refused point changes nothing else. */
  push(tSeconds: number, value: number): PushResult;
  /** The forecast made at the newest point, the same until the next push is accepted; null while empty. */
  forecast(): Forecast | null;
  /** The `value` of that forecast alone, without making the rest; null while empty. */
  forecastValue(): number | null;
  /** Forgets the window and the average, so that any time is accepted next; the refused counts stay. */
  reset(): void;
  /** Gives the memory back. Using the series afterwards throws a `DisposedSeriesError`. */
  dispose(): void;
}

/** An implementation of the arithmetic. Both give the same bits. */
export interface Kernel {
  readonly name: "wasm" | "js";
  /**
   * A new, empty series. Throws a `RangeError` for an option outside its limits and a `SeriesLimitError` when the
   * kernel already holds as many series as it has memory for.
   */
  createSeries(options?: Partial<SeriesOptions>): Series;
  /**
   * A new, empty batch, with memory of its own that goes when it is no longer referred to. Throws a `RangeError` for an
   * option outside its limits and for a batch that needs more than 256 MiB.
   */
  createBatch(options: Partial<SeriesOptions> & { series: number }): Batch;
}

/** Named series on one kernel: what the rest of the program forecasts with. */
export interface Forecaster {
  readonly kernelName: Kernel["name"];
  /**
   * Starts the named series afresh with options of its own, in place of one that is there; without it, the first
   * `observe` starts one with the defaults.
   */
  track(name: string, options?: Partial<SeriesOptions>): void;
  /** Adds a point to the named series. Throws as `Kernel.createSeries` does when it has to start one. */
  observe(name: string, tSeconds: number, value: number): PushResult;
  /** The named series' forecast; null when nothing was accepted yet, or the name is unknown. */
  forecast(name: string): Forecast | null;
  /** The `value` of that forecast alone, without making the rest; null as there. */
  forecastValue(name: string): number | null;
  /** The counts of refused points; null when the name is unknown. */
  refused(name: string): RefusedCounts | null;
  /** Names in the order in which they were first seen. */
  names(): string[];
  /** Restarts the named series with the next point, as after a clock that was set back; its counts stay. */
  restart(name: string): void;
  /** Drops the named series and gives its memory back. */
  forget(name: string): void;
}

/** The kernel already holds `limit` series. */
export class SeriesLimitError extends Error {
  readonly code = "series-limit";
  constructor(readonly limit: number) {
    super(
      `the forecast kernel holds ${limit} series already: dispose of one, or load it with a higher limit`,
    );
    this.name = "SeriesLimitError";
  }
}

/** A series was used after `dispose`. */
export class DisposedSeriesError extends Error {
  readonly code = "series-disposed";
  constructor(operation: string) {
    super(`${operation} on a series that was disposed of: create another`);
    this.name = "DisposedSeriesError";
  }
}
