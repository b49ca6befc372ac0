/**
 * The memory of a batch: one map for both kernels, in bytes, as `assembly/batch-layout.ts` reads it. Series come in
 * blocks of eight, a cache line of doubles; a row of the ring holds the values of one tick. A row's length is an odd
 * number of cache lines: with a power of two, the rows of one block would share a few sets of the cache.
 */
const lineBytes = 64;
/** Before this the WASM module keeps its own. */
const headerAt = 16384;
const headerBytes = 256;

/** i32 indices in the header. */
export const header = {
  ranges: 0,
  newRow: 1,
  full: 2,
  rows: 3,
  marked: 4,
  rangeTable: 5,
  input: 6,
  state: 7,
  flags: 8,
  marks: 9,
  saved: 10,
  ring: 11,
  ringPitch: 12,
} as const;

/** A range of blocks, i32 each: its ends, and the addresses of the clocks that it comes from and goes to. */
export const RANGE_FIELDS = 4;
export const FIRST_BLOCK = 0;
export const END_BLOCK = 1;
export const FROM = 2;
export const TO = 3;
/** Blocks on one clock and on the next, and those that move. */
const mostRanges = 3;

/** Clocks: the one that the blocks move to, the one that they come from, and one to begin with at any tick. */
export const CLOCKS = 3;
/** Coefficients of a clock, f64 each, and each twice, a vector to load; `BatchClock` says what they are. */
export const NEW_TIME = 0;
export const OLD_TIME = 2;
export const INVERSE = 4;
export const MEAN_TIME = 6;
export const INVERSE_SXX = 8;
export const FROM_MEAN = 10;
export const TARGET_TIME = 12;
export const WIDTH = 14;
export const ALPHA = 16;
export const KEPT = 18;
export const SHIFT = 20;
/** After the coefficients: the times of the ring's rows, each twice. */
export const ROW_TIMES = 24;

/** Fields of a block of eight series, in f64; each field is eight wide. */
export const LANES = 8;
export const BLOCK_FIELDS = 80;
/** The reference line: its value at the clock's origin, and its slope. */
export const BASE = 0;
export const SLOPE = 8;
/** Sums over the window of the residuals r about it, of u r with the time u from the clock's origin, and of r². */
export const SUM = 16;
export const MOMENT = 24;
export const SQUARES = 32;
/** The most that `SQUARES` was since they were summed afresh; NaN while they are not to be. */
export const PEAK = 40;
/** The forecast. */
export const VALUE = 48;
export const SMOOTHED = 56;
export const HALF_WIDTH = 64;
export const SLOPE_PER_SECOND = 72;
/** The forecast's fields as they were before the tick, of a marked block. */
export const SAVED_FIELDS = BLOCK_FIELDS - VALUE;

/** The map of one batch: addresses and lengths in bytes. */
export interface BatchLayout {
  readonly series: number;
  readonly windowPoints: number;
  readonly blocks: number;
  readonly header: number;
  readonly rangeTable: number;
  readonly clocks: number;
  readonly clockBytes: number;
  readonly input: number;
  readonly state: number;
  /** i32 a block: 1 while the host has to look at it after each tick. */
  readonly flags: number;
  /** i32 a marked block: its number. */
  readonly marks: number;
  readonly saved: number;
  readonly ring: number;
  readonly ringPitch: number;
  readonly bytes: number;
}

function batchLayout(series: number, windowPoints: number): BatchLayout {
  const blocks = Math.ceil(series / LANES);
  let end = headerAt + headerBytes;
  const place = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / lineBytes) * lineBytes;
    return at;
  };
  const ringPitch = (blocks | 1) * lineBytes;
  const clockBytes = Math.ceil(((ROW_TIMES + 2 * windowPoints) * 8) / lineBytes) * lineBytes;
  return {
    series,
    windowPoints,
    blocks,
    header: headerAt,
    rangeTable: place(mostRanges * RANGE_FIELDS * 4),
    clocks: place(CLOCKS * clockBytes),
    clockBytes,
    input: place(blocks * lineBytes),
    state: place(blocks * BLOCK_FIELDS * 8),
    flags: place(blocks * 4),
    marks: place(blocks * 4),
    saved: place(blocks * SAVED_FIELDS * 8),
    ring: place(windowPoints * ringPitch),
    ringPitch,
    bytes: end,
  };
}

/** The memory of a batch, seen as doubles and as integers. */
export interface BatchMemory {
  readonly layout: BatchLayout;
  readonly doubles: Float64Array;
  readonly integers: Int32Array;
}

/** Views of `buffer`, and the header written; the rest must be zero. */
export function batchMemory(layout: BatchLayout, buffer: ArrayBuffer): BatchMemory {
  const doubles = new Float64Array(buffer);
  const integers = new Int32Array(buffer);
  const at = layout.header / 4;
  for (const name of [
    "rangeTable",
    "input",
    "state",
    "flags",
    "marks",
    "saved",
    "ring",
    "ringPitch",
  ] as const)
    integers[at + header[name]] = layout[name];
  return { layout, doubles, integers };
}

/** Memory that a batch may have. */
const maxBytes = 2 ** 28;

/** The map for `series` series of `windowPoints`, or a `RangeError` when it would need more memory than a batch gets. */
export function boundedBatchLayout(series: number, windowPoints: number): BatchLayout {
  const layout = batchLayout(series, windowPoints);
  if (layout.bytes <= maxBytes) return layout;
  const mebibytes = Math.ceil(layout.bytes / 2 ** 20);
  throw new RangeError(
    `series is ${series} and windowPoints ${windowPoints}: ${mebibytes} MiB, must be at most ${maxBytes / 2 ** 20}`,
  );
}
