/** The turn of a group: its back becomes the front. `src/forecast/js-batch.ts` has its twin. */
import {
  BLOCK_BYTES,
  LINE_BYTES,
  MEAN,
  NEWEST_ROW,
  NEWEST_SUFFIX,
  ORIGIN,
  REST,
  RING_LAST,
  RING_PITCH,
  RING_START,
  SLOPE,
  STATE,
  SUFFIX_BYTES,
  SUFFIX_LAST,
  SUFFIX_PITCH,
  TURN_BYTES,
  TURNING_ROWS,
  TURNING_TABLE,
} from "./batch-layout";

/** Sums the ring's rows backwards, and keeps the sum from each row on; then the back is empty. */
export function turnGroup(first: i32, end: i32): void {
  for (let block = <usize>first; block < <usize>end; block++) {
    const state = <usize>load<i32>(STATE) + block * BLOCK_BYTES;
    for (let half: usize = 0; half < LINE_BYTES; half += 32) {
      turnFour(state + half, block * LINE_BYTES + half, block * SUFFIX_BYTES + half);
    }
  }
}

/** Four series at once. `inRow` and `inSuffix`: their offset in a row of the ring and in one of the suffixes. */
function turnFour(state: usize, inRow: usize, inSuffix: usize): void {
  const pitch = <usize>load<i32>(RING_PITCH);
  const suffixPitch = <usize>load<i32>(SUFFIX_PITCH);
  const start = <usize>load<i32>(RING_START) + inRow;
  let row = <usize>load<i32>(NEWEST_ROW) + inRow;
  let suffix = <usize>load<i32>(NEWEST_SUFFIX) + inSuffix;
  let table = <usize>load<i32>(TURNING_TABLE);
  const end = table + <usize>load<i32>(TURNING_ROWS) * TURN_BYTES;
  const origin = Turning.empty(state, row);
  const otherOrigin = Turning.empty(state + 16, row + 16);
  const zero = f64x2.splat(0);
  let mean = zero;
  let slope = zero;
  let rest = zero;
  let otherMean = zero;
  let otherSlope = zero;
  let otherRest = zero;
  for (; table < end; table += TURN_BYTES) {
    const from = Turning.from(row, origin, mean);
    const otherFrom = Turning.from(row + 16, otherOrigin, otherMean);
    const error = f64x2.sub(from, f64x2.mul(slope, v128.load(table)));
    const otherError = f64x2.sub(otherFrom, f64x2.mul(otherSlope, v128.load(table)));
    mean = f64x2.add(mean, f64x2.mul(from, v128.load(table, 16)));
    slope = f64x2.add(slope, f64x2.mul(error, v128.load(table, 32)));
    rest = f64x2.add(rest, f64x2.mul(error, f64x2.mul(error, v128.load(table, 48))));
    otherMean = f64x2.add(otherMean, f64x2.mul(otherFrom, v128.load(table, 16)));
    otherSlope = f64x2.add(otherSlope, f64x2.mul(otherError, v128.load(table, 32)));
    otherRest = f64x2.add(otherRest, f64x2.mul(otherError, f64x2.mul(otherError, v128.load(table, 48))));
    Turning.keep(suffix, mean, slope, rest);
    Turning.keep(suffix + 16, otherMean, otherSlope, otherRest);
    const wraps = row === start;
    row = wraps ? <usize>load<i32>(RING_LAST) + inRow : row - pitch;
    suffix = wraps ? <usize>load<i32>(SUFFIX_LAST) + inSuffix : suffix - suffixPitch;
  }
}

/** Each method is inlined: a call costs more than it does. */
class Turning {
  /** Empties the back of two series, and answers their new origin: the newest value, or the last one while missing. */
  @inline static empty(state: usize, row: usize): v128 {
    const newest = v128.load(row);
    const origin = v128.bitselect(newest, v128.load(state, ORIGIN), f64x2.eq(newest, newest));
    v128.store(state, origin, ORIGIN);
    v128.store(state, f64x2.splat(0), MEAN);
    v128.store(state, f64x2.splat(0), SLOPE);
    v128.store(state, f64x2.splat(0), REST);
    return origin;
  }

  /** Distance of two values from their mean. NaN marks a missing value, which counts as the origin. */
  @inline static from(row: usize, origin: v128, mean: v128): v128 {
    const off = f64x2.sub(v128.load(row), origin);
    return f64x2.sub(v128.and(off, f64x2.eq(off, off)), mean);
  }

  @inline static keep(suffix: usize, mean: v128, slope: v128, rest: v128): void {
    v128.store(suffix, mean);
    v128.store(suffix, slope, 64);
    v128.store(suffix, rest, 128);
  }
}
