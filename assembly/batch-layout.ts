/**
 * The memory map of a batch; `src/forecast/batch-layout.ts` decides the addresses and explains the fields. One instance
 * of the module holds one batch, which has all of the memory beyond `BATCH_OFFSET`.
 */

/** Header, i32 each: addresses and lengths in bytes, and counts. */
export const BATCH_OFFSET: usize = 16384;
export const GROUPS: usize = BATCH_OFFSET;
/** Address of the ring's row for the newest values. */
export const NEW_ROW: usize = BATCH_OFFSET + 4;
/** Of the newest row that a turn takes: its address in the ring and among the suffixes; and how many it takes. */
export const NEWEST_ROW: usize = BATCH_OFFSET + 8;
export const NEWEST_SUFFIX: usize = BATCH_OFFSET + 12;
export const TURNING_ROWS: usize = BATCH_OFFSET + 16;
/** Written by the tick: how many blocks are marked. */
export const MARKED: usize = BATCH_OFFSET + 20;
export const GROUP_TABLE: usize = BATCH_OFFSET + 24;
export const COEFFICIENTS: usize = BATCH_OFFSET + 28;
export const TURNING_TABLE: usize = BATCH_OFFSET + 32;
export const INPUT: usize = BATCH_OFFSET + 36;
export const STATE: usize = BATCH_OFFSET + 40;
export const FLAGS: usize = BATCH_OFFSET + 44;
export const MARKS: usize = BATCH_OFFSET + 48;
export const SAVED: usize = BATCH_OFFSET + 52;
export const SCRATCH: usize = BATCH_OFFSET + 56;
export const RING_START: usize = BATCH_OFFSET + 60;
export const RING_LAST: usize = BATCH_OFFSET + 64;
export const RING_PITCH: usize = BATCH_OFFSET + 68;
export const SUFFIX_LAST: usize = BATCH_OFFSET + 72;
export const SUFFIX_PITCH: usize = BATCH_OFFSET + 76;

/** A group's row in `GROUP_TABLE`, i32 each. */
export const GROUP_BYTES: usize = 16;
export const FIRST_BLOCK: usize = 0;
export const END_BLOCK: usize = 4;
/** Address of the front's suffixes, and 1 when this tick begins with a turn. */
export const SUFFIX_ROW: usize = 8;
export const TURNS: usize = 12;

/** A group's coefficients, f64 each, and each twice: a vector to load. */
export const COEFFICIENT_BYTES: usize = 256;
export const STEP: usize = 0;
export const INVERSE: usize = 16;
export const SLOPE_GAIN: usize = 32;
export const REST_GAIN: usize = 48;
export const FRONT_SHARE: usize = 64;
export const BACK_SHARE: usize = 80;
export const SLOPES_REST: usize = 96;
export const APART: usize = 112;
export const SLOPE_PULL: usize = 128;
export const MEANS_REST: usize = 144;
export const FRONT_WEIGHT: usize = 160;
export const AHEAD: usize = 176;
export const WIDTH: usize = 192;
export const ALPHA: usize = 208;
export const KEPT: usize = 224;

/** Eight series, one cache line a field. */
export const BLOCK_BYTES: usize = 512;
export const ORIGIN: usize = 0;
export const MEAN: usize = 64;
export const SLOPE: usize = 128;
export const REST: usize = 192;
export const VALUE: usize = 256;
export const SMOOTHED: usize = 320;
export const HALF_WIDTH: usize = 384;
export const SLOPE_PER_SECOND: usize = 448;

export const LINE_BYTES: usize = 64;
/** A block in a row of suffixes: mean, slope, rest. */
export const SUFFIX_BYTES: usize = 192;
/** A row of the turning table: step, inverse, slope gain, rest gain. */
export const TURN_BYTES: usize = 64;
