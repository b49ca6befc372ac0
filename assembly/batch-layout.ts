/**
 * The memory map of a batch; `src/forecast/batch-layout.ts` decides the addresses and explains the fields. One instance
 * of the module holds one batch, which has all of the memory beyond `BATCH_OFFSET`.
 */

/** Header, i32 each: addresses and lengths in bytes, and counts. */
export const BATCH_OFFSET: usize = 16384;
export const RANGES: usize = BATCH_OFFSET;
/** Address of the ring's row for the newest values. */
export const NEW_ROW: usize = BATCH_OFFSET + 4;
/** 1 when a value leaves the window. */
export const FULL: usize = BATCH_OFFSET + 8;
/** Rows of the ring that hold values, this tick's among them. */
export const ROWS: usize = BATCH_OFFSET + 12;
/** Written by the tick: how many blocks are marked. */
export const MARKED: usize = BATCH_OFFSET + 16;
export const RANGE_TABLE: usize = BATCH_OFFSET + 20;
export const INPUT: usize = BATCH_OFFSET + 24;
export const STATE: usize = BATCH_OFFSET + 28;
export const FLAGS: usize = BATCH_OFFSET + 32;
export const MARKS: usize = BATCH_OFFSET + 36;
export const SAVED: usize = BATCH_OFFSET + 40;
export const RING: usize = BATCH_OFFSET + 44;
export const RING_PITCH: usize = BATCH_OFFSET + 48;

/** A range of blocks in `RANGE_TABLE`, i32 each: its ends, and the clocks that it comes from and goes to. */
export const RANGE_BYTES: usize = 16;
export const FIRST_BLOCK: usize = 0;
export const END_BLOCK: usize = 4;
export const FROM: usize = 8;
export const TO: usize = 12;

/** A clock's coefficients, f64 each, and each twice: a vector to load. After them the times of the ring's rows. */
export const NEW_TIME: usize = 0;
export const OLD_TIME: usize = 16;
export const INVERSE: usize = 32;
export const MEAN_TIME: usize = 48;
export const INVERSE_SXX: usize = 64;
export const FROM_MEAN: usize = 80;
export const TARGET_TIME: usize = 96;
export const WIDTH: usize = 112;
export const ALPHA: usize = 128;
export const KEPT: usize = 144;
export const SHIFT: usize = 160;
export const ROW_TIMES: usize = 192;

/** Eight series, one cache line a field. */
export const BLOCK_BYTES: usize = 640;
export const BASE: usize = 0;
export const SLOPE: usize = 64;
export const SUM: usize = 128;
export const MOMENT: usize = 192;
export const SQUARES: usize = 256;
export const PEAK: usize = 320;
export const VALUE: usize = 384;
export const SMOOTHED: usize = 448;
/** Before the tick's second half: the sum of squared residuals. */
export const HALF_WIDTH: usize = 512;
export const SLOPE_PER_SECOND: usize = 576;

export const LINE_BYTES: usize = 64;
