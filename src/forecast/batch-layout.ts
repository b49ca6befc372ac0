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
  groups: 0,
  newRow: 1,
  newestRow: 2,
  newestSuffix: 3,
  turningRows: 4,
  marked: 5,
  groupTable: 6,
  coefficients: 7,
  turningTable: 8,
  input: 9,
  state: 10,
  flags: 11,
  marks: 12,
  saved: 13,
  scratch: 14,
  ringStart: 15,
  ringLast: 16,
  ringPitch: 17,
  suffixLast: 18,
  suffixPitch: 19,
} as const;

/** A group's row in the group table, i32 each. */
export const GROUP_FIELDS = 4;
export const FIRST_BLOCK = 0;
export const END_BLOCK = 1;
export const SUFFIX_ROW = 2;
export const TURNS = 3;

/** Coefficients of a group, f64 each, and each twice, a vector to load; `BatchClock` says what they are. */
export const COEFFICIENT_FIELDS = 32;
export const STEP = 0;
export const INVERSE = 2;
export const SLOPE_GAIN = 4;
export const REST_GAIN = 6;
export const FRONT_SHARE = 8;
export const BACK_SHARE = 10;
export const SLOPES_REST = 12;
export const APART = 14;
export const SLOPE_PULL = 16;
export const MEANS_REST = 18;
export const FRONT_WEIGHT = 20;
export const AHEAD = 22;
export const WIDTH = 24;
export const ALPHA = 26;
export const KEPT = 28;

/** A row of the turning table: the first four of a group's coefficients. */
export const TURN_FIELDS = 8;

/** Fields of a block of eight series, in f64; each field is eight wide. */
export const LANES = 8;
export const BLOCK_FIELDS = 64;
/** What the values are taken relative to, and of the back: mean, slope, sum of squared residuals. */
export const ORIGIN = 0;
export const MEAN = 8;
export const SLOPE = 16;
export const REST = 24;
/** The forecast. */
export const VALUE = 32;
export const SMOOTHED = 40;
export const HALF_WIDTH = 48;
export const SLOPE_PER_SECOND = 56;
/** The forecast's fields as they were before the tick, of a marked block. */
export const SAVED_FIELDS = BLOCK_FIELDS - VALUE;

/** A block in a row of suffixes: mean, slope, sum of squared residuals. */
export const SUFFIX_FIELDS = 24;

/** The map of one batch: addresses and lengths in bytes. */
export interface BatchLayout {
  readonly series: number;
  readonly windowPoints: number;
  readonly blocks: number;
  readonly groups: number;
  readonly header: number;
  readonly groupTable: number;
  readonly coefficients: number;
  readonly turningTable: number;
  readonly input: number;
  readonly state: number;
  /** i32 a block: 1 while the host has to look at it after each tick. */
  readonly flags: number;
  /** i32 a marked block: its number. */
  readonly marks: number;
  readonly saved: number;
  readonly scratch: number;
  readonly ring: number;
  readonly ringPitch: number;
  /** One row more than the ring: the last stays zero, the suffix of nothing. */
  readonly suffix: number;
  readonly suffixPitch: number;
  readonly bytes: number;
}

/** Blocks in a group at least, and groups at most: what a group costs a tick must be little beside its series. */
const fewestGroupBlocks = 32;
const mostGroups = 16;

function batchLayout(series: number, windowPoints: number): BatchLayout {
  const blocks = Math.ceil(series / LANES);
  const groups = Math.max(1, Math.min(mostGroups, windowPoints, Math.floor(blocks / fewestGroupBlocks)));
  let end = headerAt + headerBytes;
  const place = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / lineBytes) * lineBytes;
    return at;
  };
  const oddLines = (lines: number): number => (lines | 1) * lineBytes;
  const ringPitch = oddLines(blocks);
  const suffixPitch = oddLines(blocks * 3);
  return {
    series,
    windowPoints,
    blocks,
    groups,
    header: headerAt,
    groupTable: place(groups * GROUP_FIELDS * 4),
    coefficients: place(groups * COEFFICIENT_FIELDS * 8),
    turningTable: place(windowPoints * TURN_FIELDS * 8),
    input: place(blocks * lineBytes),
    state: place(blocks * BLOCK_FIELDS * 8),
    flags: place(blocks * 4),
    marks: place(blocks * 4),
    saved: place(blocks * SAVED_FIELDS * 8),
    scratch: place(lineBytes),
    ring: place(windowPoints * ringPitch),
    ringPitch,
    suffix: place((windowPoints + 1) * suffixPitch),
    suffixPitch,
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
  const { groups, blocks, windowPoints } = layout;
  const at = layout.header / 4;
  integers[at + header.groups] = groups;
  for (const name of ["groupTable", "coefficients", "turningTable", "input", "state", "flags"] as const)
    integers[at + header[name]] = layout[name];
  for (const name of ["marks", "saved", "scratch", "ringPitch", "suffixPitch"] as const)
    integers[at + header[name]] = layout[name];
  integers[at + header.ringStart] = layout.ring;
  integers[at + header.ringLast] = layout.ring + (windowPoints - 1) * layout.ringPitch;
  integers[at + header.suffixLast] = layout.suffix + (windowPoints - 1) * layout.suffixPitch;
  for (let group = 0; group < groups; group++) {
    const row = layout.groupTable / 4 + group * GROUP_FIELDS;
    integers[row + FIRST_BLOCK] = Math.floor((group * blocks) / groups);
    integers[row + END_BLOCK] = Math.floor(((group + 1) * blocks) / groups);
  }
  return { layout, doubles, integers };
}

/** Memory that a batch may have. */
const maxBytes = 2 ** 30;

/** The map for `series` series of `windowPoints`, or a `RangeError` when it would need more memory than a batch gets. */
export function boundedBatchLayout(series: number, windowPoints: number): BatchLayout {
  const layout = batchLayout(series, windowPoints);
  if (layout.bytes <= maxBytes) return layout;
  const mebibytes = Math.ceil(layout.bytes / 2 ** 20);
  throw new RangeError(
    `series is ${series} and windowPoints ${windowPoints}: ${mebibytes} MiB, must be at most ${maxBytes / 2 ** 20}`,
  );
}
