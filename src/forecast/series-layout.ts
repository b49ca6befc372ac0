/**
 * The memory map of one series of the JS kernel: f64 indices into one array, but for the counters, which are i32 at the
 * same place. `assembly/layout.ts` is its twin.
 */

/** i32 indices: capacity, points to be ready, points in the window. */
export const WINDOW_POINTS = 0;
export const MIN_POINTS = 1;
export const POINTS = 2;
/** i32: index of the place in the ring that the next point takes. */
export const NEXT = 3;
/** i32: up to this index a push needs no preparation: the end of the block in a full window that is ready. */
export const STEADY_END = 4;
/** i32: `NEXT` and the index of the place whose suffix is prepared in the same push add up to this. */
export const MIRROR = 5;
/** i32: 0 the average steps, 1 it starts with this forecast, 2 cold. */
export const MODE = 6;
/** i32: index after the current block; 0 before the first. */
export const BLOCK_END = 7;
export const COUNTERS = 8;

export const EMA_ALPHA = 4;
export const COLD_HALF_WIDTH = 5;
export const HORIZON_SECONDS = 6;
/** 1 / n of a window of n points. */
export const INVERSE_POINTS = 7;
/** t(0.975, n - 2)² / (n - 2), and 1 + 1 / n times it. */
export const WIDTH_FACTOR = 8;
export const BASE_WIDTH = 9;
/** Sum of dy² / dt over the window's increments, while cold. */
export const COLD_SUM = 10;
/** Value of the newest point, while the window fills. */
export const LAST_VALUE = 11;
/** The slope of the line through the first two points. */
export const FIRST_SLOPE = 12;

/** Outputs, in the order of the WASM kernel's. */
export const OUTPUTS = 16;
export const OUTPUT_COUNT = 11;
export const OUTPUT_STATE = OUTPUTS + 0;
export const OUTPUT_POINTS = OUTPUTS + 1;
export const OUTPUT_AT_SECONDS = OUTPUTS + 2;
export const OUTPUT_VALUE = OUTPUTS + 3;
export const OUTPUT_SMOOTHED = OUTPUTS + 4;
/** Of a cold forecast the interval's half-width; of a ready one its square: the root would hold up the next push. */
export const OUTPUT_INTERVAL = OUTPUTS + 5;
export const OUTPUT_SLOPE_PER_SECOND = OUTPUTS + 6;
export const OUTPUT_SUM_SQUARED_RESIDUAL = OUTPUTS + 7;
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
export const SUM_COUNT = 6;
export const ORIGIN_TIME = 6;
export const ORIGIN_VALUE = 7;
export const SLOPE = 8;
export const SUMS_FIELDS = 9;

/** Sums of the last whole block and the current one. */
export const RECENT = 28;
/** Sums of the current block alone; `RECENT` takes them over when it is whole. */
export const CURRENT = 38;
/** Sums of the whole window, about the origin and slope of `RECENT`, and the newest point's time from that origin. */
export const WHOLE = 48;
export const WHOLE_NEWEST = WHOLE + 6;

/**
 * A place in the ring: t, y, then, once it is known, the suffix: the sums of the points after this one in its block,
 * about the origin and slope of the block after it. Two places before the first take what is prepared for nothing.
 */
export const RING = 72;
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
