/**
 * The memory map. The host reads the offsets through the exports of `index.ts`, never from here; the order of the
 * output fields is part of the ABI, so a change to it raises `ABI_VERSION`.
 *
 *   0       unused, so that 0 is never a valid series
 *   1024    Student-t quantiles, f64[1022], written by the host once after `initialize`
 *   9216    series slots, all of one size, `seriesCapacity` of them
 *
 * A slot: integers and options, then the outputs, then the two rings at their full capacity. Memory grows once, in
 * `initialize`: growing later would detach the views that the host holds.
 */
export const ABI_VERSION: i32 = 1;

export const MAX_WINDOW_POINTS: i32 = 1024;
/** A fit of n points has n - 2 degrees of freedom. */
export const MAX_DEGREES_OF_FREEDOM: i32 = MAX_WINDOW_POINTS - 2;

export const STUDENT_T_OFFSET: usize = 1024;
export const SLOTS_OFFSET: usize = 9216;

/** i32: 1 while the slot belongs to a series. */
export const IN_USE: usize = 0;
/** i32: the window's capacity, in points. */
export const WINDOW_POINTS: usize = 4;
/** i32: points from which the series is ready. */
export const MIN_POINTS: usize = 8;
/** i32: index in the ring of the oldest point. */
export const OLDEST: usize = 12;
/** i32: points in the window. */
export const POINTS: usize = 16;
/** f64: weight of the newest forecast in the moving average. */
export const EMA_ALPHA: usize = 24;
/** f64: half-width of the interval while nothing is known, in the value's unit. */
export const COLD_HALF_WIDTH: usize = 32;
/** f64: how far ahead of the newest point the forecast looks. */
export const HORIZON_SECONDS: usize = 40;

/** f64[13]: what the host reads after a push; see the OUTPUT_ offsets. */
export const OUTPUTS: usize = 64;
/** 0 empty, 1 cold, 2 ready. */
export const OUTPUT_STATE: usize = OUTPUTS;
export const OUTPUT_POINTS: usize = OUTPUTS + 8;
export const OUTPUT_AT_SECONDS: usize = OUTPUTS + 16;
export const OUTPUT_TARGET_SECONDS: usize = OUTPUTS + 24;
export const OUTPUT_VALUE: usize = OUTPUTS + 32;
export const OUTPUT_SMOOTHED: usize = OUTPUTS + 40;
export const OUTPUT_LOWER: usize = OUTPUTS + 48;
export const OUTPUT_UPPER: usize = OUTPUTS + 56;
export const OUTPUT_SLOPE_PER_SECOND: usize = OUTPUTS + 64;
export const OUTPUT_RESIDUAL_DEVIATION: usize = OUTPUTS + 72;
export const OUTPUT_NOT_FINITE: usize = OUTPUTS + 80;
export const OUTPUT_REPEATED: usize = OUTPUTS + 88;
export const OUTPUT_BACKWARD: usize = OUTPUTS + 96;

/** f64[1024]: times of the points, seconds. */
export const TIMES: usize = 192;
/** f64[1024]: values of the points. */
export const VALUES: usize = TIMES + 8192;
export const SLOT_BYTES: usize = VALUES + 8192;

export const STATE_EMPTY: f64 = 0;
export const STATE_COLD: f64 = 1;
export const STATE_READY: f64 = 2;
