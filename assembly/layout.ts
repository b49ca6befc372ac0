/**
 * The memory map of a kernel of single series; `src/forecast/series-layout.ts` is its twin in indices, with the sums of
 * each set together. The host reads the offsets through the exports of `index.ts`; the order of the output fields is
 * part of the ABI, so a change to it raises `ABI_VERSION`.
 *
 *   0       unused, so that 0 is never a valid series
 *   1024    Student-t quantiles, f64[1022], written by the host once after `initialize`
 *   9216    series slots, all of one size, `seriesCapacity` of them
 *
 * A slot: options and counters, the outputs, two sets of sums, then the ring at its full capacity. Memory grows once,
 * in `initialize`: growing later would detach the views that the host holds.
 */
export const ABI_VERSION: i32 = 3;

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
/** i32: points in the window. */
export const POINTS: usize = 12;
/** i32: address of the place in the ring that the next point takes. */
export const NEXT: usize = 16;
/** i32: up to this address a push needs no preparation: the end of the block in a full window that is ready. */
export const STEADY_END: usize = 20;
/** i32: `NEXT` and the address of the place whose suffix is prepared in the same push add up to this. */
export const MIRROR: usize = 24;
/** i32: 0 the average steps, 1 it starts with this forecast, 2 cold. */
export const MODE: usize = 28;
/** i32: address after the current block; 0 before the first. */
export const BLOCK_END: usize = 32;
/** i32: points of the current block when it is whole; 0 before the first. */
export const BLOCK_POINTS: usize = 36;

/** f64: weight of the newest forecast in the moving average. */
export const EMA_ALPHA: usize = 40;
/** f64: half-width of the interval while nothing is known, in the value's unit. */
export const COLD_HALF_WIDTH: usize = 48;
/** f64: how far ahead of the newest point the forecast looks. */
export const HORIZON_SECONDS: usize = 56;
/** f64: 1 / n of a window of n points. */
export const INVERSE_POINTS: usize = 64;
/** f64: t(0.975, n - 2)² / (n - 2), and 1 + 1 / n times it. */
export const WIDTH_FACTOR: usize = 72;
export const BASE_WIDTH: usize = 80;
/** f64: weight of what the moving average was: 1 less `EMA_ALPHA`. */
export const EMA_KEPT: usize = 88;
/** f64: sum of dy² / dt over the window's increments, while cold. */
export const COLD_SUM: usize = 96;
/** f64: value of the newest point, while the window fills. */
export const LAST_VALUE: usize = 104;
/** f64: the slope of the line through the first two points. */
export const FIRST_SLOPE: usize = 112;

/** i32: 1 once the window is full and its forecast ready: nothing but blocks that begin needs preparation then. */
export const STEADY: usize = 120;

/** f64[11]: what the host reads after a push; see the OUTPUT_ offsets. */
export const OUTPUTS: usize = 128;
/** 0 empty, 1 cold, 2 ready. */
export const OUTPUT_STATE: usize = OUTPUTS;
export const OUTPUT_POINTS: usize = OUTPUTS + 8;
export const OUTPUT_AT_SECONDS: usize = OUTPUTS + 16;
export const OUTPUT_VALUE: usize = OUTPUTS + 24;
export const OUTPUT_SMOOTHED: usize = OUTPUTS + 32;
/** Of a cold forecast the interval's half-width; of a ready one its square: the root would hold up the next push. */
export const OUTPUT_INTERVAL: usize = OUTPUTS + 40;
export const OUTPUT_SLOPE_PER_SECOND: usize = OUTPUTS + 48;
export const OUTPUT_SUM_SQUARED_RESIDUAL: usize = OUTPUTS + 56;
export const OUTPUT_NOT_FINITE: usize = OUTPUTS + 64;
export const OUTPUT_REPEATED: usize = OUTPUTS + 72;
export const OUTPUT_BACKWARD: usize = OUTPUTS + 80;

/**
 * Two sets of sums over points (t, y), side by side in vectors: of the last whole block and the current one ("recent"),
 * and of the current block alone, which `RECENT` takes over when that is whole. Each is about a reference point (T, Y)
 * and a reference slope b of its own; with u = t - T, v = y - Y and r = v - b u, in this order sum u, sum v, sum u²,
 * sum uv, sum r², sum v², and then T, Y and b.
 */
export const SUM_TIME: usize = 224;
export const SUM_VALUE: usize = 240;
export const SUM_TIME_TIME: usize = 256;
export const SUM_TIME_VALUE: usize = 272;
export const SUM_RESIDUAL_SQUARED: usize = 288;
export const SUM_VALUE_SQUARED: usize = 304;
export const ORIGIN_TIME: usize = 320;
export const ORIGIN_VALUE: usize = 336;
export const SLOPE: usize = 352;
/** Within each of these vectors. */
export const RECENT: usize = 0;
export const CURRENT: usize = 8;
/** Once more (T, Y), and (b, 0), of the current block, as the suffixes' vectors take them. */
export const SUFFIX_ORIGIN: usize = 368;
export const SUFFIX_SLOPE: usize = 384;

/**
 * A place in the ring: (t, y), then, once it is known, the suffix: the sums of the points after this one in its block,
 * about the origin and slope of the block after it. Two places before the first take what is prepared for nothing.
 */
export const RING: usize = 512;
export const POINT_BYTES: usize = 64;
export const SUFFIX: usize = 16;
/** A suffix, as three vectors: (sum u, sum v), (sum u², sum uv), (sum r², sum v²). */
export const SUFFIX_TIME: usize = SUFFIX + 16;
export const SUFFIX_SQUARED: usize = SUFFIX + 32;
export const SLOT_BYTES: usize = RING + <usize>MAX_WINDOW_POINTS * POINT_BYTES + 64;

export const STATE_EMPTY: f64 = 0;
export const STATE_COLD: f64 = 1;
export const STATE_READY: f64 = 2;
