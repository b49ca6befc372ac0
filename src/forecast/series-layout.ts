/**
 * The memory map of one series of the JS kernel: f64 indices into one array, but for the counters, which are i32 at the
 * same place. `assembly/layout.ts` is its twin.
 */

/** i32 indices: capacity, points to be ready, points in the window. */
export const WINDOW_POINTS = 0;
export const MIN_POINTS = 1;
export const POINTS = 2;
/** i32: index of the ring's place that the next point takes, and of the point that entered the suffix last. */
export const NEXT = 3;
export const SUFFIX_AT = 4;
/** i32: points of the last whole block that its suffixes still miss. */
export const SUFFIX_LEFT = 5;
/** i32: points that the current block still takes, and of the current block when it is whole. */
export const BLOCK_LEFT = 6;
export const BLOCK_POINTS = 7;

export const EMA_ALPHA = 4;
export const COLD_HALF_WIDTH = 5;
export const HORIZON_SECONDS = 6;
/** 1 / n, 1 + 1 / n, 1 / (n - 2) and t(0.975, n - 2) of a window of n points. */
export const INVERSE_POINTS = 7;
export const BASE_LEVERAGE = 8;
export const INVERSE_FREEDOM = 9;
export const QUANTILE = 10;
/** Sum of dy² / dt over the window's increments, while cold. */
export const COLD_SUM = 11;
export const LAST_VALUE = 12;
/** The slope that the next block's residuals are taken about. */
export const NEXT_SLOPE = 13;

/** Outputs, in the order of the WASM kernel's. */
export const OUTPUTS = 16;
export const OUTPUT_COUNT = 11;
export const OUTPUT_STATE = OUTPUTS;
export const OUTPUT_POINTS = OUTPUTS + 1;
export const OUTPUT_AT_SECONDS = OUTPUTS + 2;
export const OUTPUT_VALUE = OUTPUTS + 3;
export const OUTPUT_SMOOTHED = OUTPUTS + 4;
export const OUTPUT_HALF_WIDTH = OUTPUTS + 5;
export const OUTPUT_SLOPE_PER_SECOND = OUTPUTS + 6;
export const OUTPUT_RESIDUAL_VARIANCE = OUTPUTS + 7;
export const OUTPUT_NOT_FINITE = OUTPUTS + 8;
export const OUTPUT_REPEATED = OUTPUTS + 9;
export const OUTPUT_BACKWARD = OUTPUTS + 10;

/**
 * A set of sums over points (t, y), about a reference point (T, Y) and a reference slope b: with u = t - T, v = y - Y
 * and r = v - b u, in this order sum u, sum v, sum u², sum uv, sum r², sum v², and then T, Y and b.
 */
export const SUM_TIME = 0;
export const SUM_VALUE = 1;
export const SUM_TIME_TIME = 2;
export const SUM_TIME_VALUE = 3;
export const SUM_RESIDUAL_SQUARED = 4;
export const SUM_VALUE_SQUARED = 5;
export const SUMS = 6;
export const ORIGIN_TIME = 6;
export const ORIGIN_VALUE = 7;
export const SLOPE = 8;

/** Sums of the last whole block and the current one. */
export const RECENT = 28;
/** Sums of the current block alone; `RECENT` takes them over when it is whole. */
export const CURRENT = 38;
/** The running suffix of the last whole block, about the origin and slope of `CURRENT`. */
export const SUFFIX = 48;
/** The suffix of nothing: zeros. */
export const NO_SUFFIX = 54;

/** A place in the ring: t, y, then the sums of its block from this point on, once they are known. */
export const RING = 64;
export const POINT_FIELDS = 8;
export const POINT_SUFFIX = 2;

export const STATE_EMPTY = 0;
export const STATE_COLD = 1;
export const STATE_READY = 2;

/** f64 fields of a series of `windowPoints`. */
export function seriesFields(windowPoints: number): number {
  return RING + windowPoints * POINT_FIELDS;
}

/** One series' memory, as doubles and as the counters at its beginning. */
export interface SeriesMemory {
  readonly doubles: Float64Array;
  readonly counters: Int32Array;
}
