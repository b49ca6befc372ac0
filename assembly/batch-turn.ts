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
    for (let pair: usize = 0; pair < LINE_BYTES; pair += 16) {
      turnPair(state + pair, block * LINE_BYTES + pair, block * SUFFIX_BYTES + pair);
    }
  }
}

/** `inRow` and `inSuffix`: the pair's offset in a row of the ring and in one of the suffixes. */
function turnPair(state: usize, inRow: usize, inSuffix: usize): void {
  const pitch = <usize>load<i32>(RING_PITCH);
  const suffixPitch = <usize>load<i32>(SUFFIX_PITCH);
  const start = <usize>load<i32>(RING_START) + inRow;
  let row = <usize>load<i32>(NEWEST_ROW) + inRow;
  let suffix = <usize>load<i32>(NEWEST_SUFFIX) + inSuffix;
  let table = <usize>load<i32>(TURNING_TABLE);
  const tableEnd = table + <usize>load<i32>(TURNING_ROWS) * TURN_BYTES;
  const newest = v128.load(row);
  const origin = v128.bitselect(newest, v128.load(state, ORIGIN), f64x2.eq(newest, newest));
  let mean = f64x2.splat(0);
  let slope = f64x2.splat(0);
  let rest = f64x2.splat(0);
  v128.store(state, origin, ORIGIN);
  v128.store(state, mean, MEAN);
  v128.store(state, slope, SLOPE);
  v128.store(state, rest, REST);
  for (; table < tableEnd; table += TURN_BYTES) {
    const off = f64x2.sub(v128.load(row), origin);
    // NaN marks a missing value: it counts as the origin.
    const value = v128.and(off, f64x2.eq(off, off));
    const from = f64x2.sub(value, mean);
    const error = f64x2.sub(from, f64x2.mul(slope, v128.load64_splat(table)));
    mean = f64x2.add(mean, f64x2.mul(from, v128.load64_splat(table, 8)));
    slope = f64x2.add(slope, f64x2.mul(error, v128.load64_splat(table, 16)));
    rest = f64x2.add(rest, f64x2.mul(error, f64x2.mul(error, v128.load64_splat(table, 24))));
    v128.store(suffix, mean);
    v128.store(suffix, slope, 64);
    v128.store(suffix, rest, 128);
    const wraps = row === start;
    row = wraps ? <usize>load<i32>(RING_LAST) + inRow : row - pitch;
    suffix = wraps ? <usize>load<i32>(SUFFIX_LAST) + inSuffix : suffix - suffixPitch;
  }
}
