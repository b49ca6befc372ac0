/** Many series sampled on one clock: what a batch is given and what it answers. */
import type { Forecast, PushResult, SeriesOptions } from "./forecaster.ts";
import { resolveSeriesOptions } from "./series-options.ts";

/** How a batch is made: the options of its series, all alike, and how many there are. */
export interface BatchOptions extends SeriesOptions {
  /** 1..65,536; with `windowPoints` within the memory that a batch may have, 256 MiB. */
  series: number;
}

/** Points refused since the batch was made: a series' own values, and whole ticks of the clock. */
export interface BatchRefusedCounts {
  /** Values of the series that were missing: NaN, infinite, or beyond ±1e100. */
  readonly missing: number;
  /** Ticks whose time was not finite, repeated or backward; no series took a value with them. */
  readonly ticks: number;
}

/**
 * N series on one clock, in one memory. Write a value for every series to `values`, NaN for one that is missing, and
 * call `tick`: forecasts are those of a single series with the same points, to 12 digits.
 *
 * A missing value is a gap in its own series: the forecast stays as it was, and until the gap has left the window (of
 * the last `windowPoints` ticks, not points) the line is fitted to the points that are there, which costs that series a
 * pass over its window a tick. A series with no point left in the window has no forecast.
 */
export interface Batch {
  readonly options: Readonly<BatchOptions>;
  readonly kernelName: "wasm" | "js";
  /** The values of the next tick, by series. The same array for the batch's life; a tick does not change it. */
  readonly values: Float64Array;
  /** Takes `values` at `tSeconds`; a refused time changes nothing but the count. */
  tick(tSeconds: number): PushResult;
  /** The forecast of a series; null while it has none. Throws a `RangeError` for a series that is not there. */
  forecast(series: number): Forecast | null;
  /** What was refused. Throws a `RangeError` for a series that is not there. */
  refused(series: number): BatchRefusedCounts;
  /** Forgets every point and every average; the counts stay. */
  reset(): void;
}

const maxSeries = 65_536;

/**
 * Fills in the defaults and checks the limits, but for the memory. Throws a `RangeError` that names the option, its
 * value and its limits.
 */
export function resolveBatchOptions(
  options: Partial<SeriesOptions> & { series: number },
): Readonly<BatchOptions> {
  const { series, ...rest } = options;
  if (!(Number.isInteger(series) && series >= 1 && series <= maxSeries))
    throw new RangeError(`series is ${series}: must be a whole number from 1 to ${maxSeries}`);
  return Object.freeze({ series, ...resolveSeriesOptions(rest) });
}
