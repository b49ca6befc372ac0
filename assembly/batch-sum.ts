/** Sums a window afresh, about another line; `src/forecast/js-batch-sum.ts` has its twin and says why. */
import {
  BASE,
  FROM_MEAN,
  HALF_WIDTH,
  INVERSE,
  INVERSE_SXX,
  LINE_BYTES,
  MEAN_TIME,
  MOMENT,
  PEAK,
  RING,
  RING_PITCH,
  ROW_TIMES,
  ROWS,
  SHIFT,
  SLOPE,
  SQUARES,
  SUM,
  TARGET_TIME,
} from "./batch-layout";
import { Lanes } from "./batch-line";

const MOST_ROUNDS: i32 = 4;
/** Beyond these a reference would let squares overflow, or has: steep lines reach far over a gap in the times. */
const MAX_REFERENCE: f64 = 1e110;
const MAX_SQUARES: f64 = 1e300;

/** Sums a block afresh: every series of it, or else those that have to be. */
export function sumBlock(state: usize, inRow: usize, place: usize, from: usize, to: usize): void {
  for (let pair: usize = 0; pair < LINE_BYTES; pair += 16) {
    let mask = from === to ? lost(state + pair) : i64x2.splat(-1);
    let clock = from;
    for (let round = 0; round < MOST_ROUNDS && v128.any_true(mask); round++) {
      refer(state + pair, place + pair, clock, to, mask);
      sumPair(state + pair, inRow + pair, to, mask);
      mask = lost(state + pair);
      clock = to;
    }
  }
}

/** Where the sums have lost too many digits, or are no numbers. A peak of NaN marks a series that is not summed. */
function lost(state: usize): v128 {
  const peak = v128.load(state, PEAK);
  return v128.andnot(f64x2.eq(peak, peak), Lanes.kept(v128.load(state, HALF_WIDTH), peak));
}

/** The new reference: the line fitted so far, or, where that is no use, the newest value. */
function refer(state: usize, place: usize, from: usize, to: usize, mask: v128): void {
  const sum = v128.load(state, SUM);
  const was = v128.load(state, BASE);
  const slope = v128.load(state, SLOPE);
  const mean = f64x2.mul(sum, v128.load(from, INVERSE));
  const across = f64x2.sub(v128.load(state, MOMENT), f64x2.mul(sum, v128.load(from, MEAN_TIME)));
  const tilt = f64x2.mul(across, v128.load(from, INVERSE_SXX));
  const shift = from === to ? f64x2.splat(0) : v128.load(from, SHIFT);
  const fromMean = f64x2.sub(shift, v128.load(from, MEAN_TIME));
  const rise = f64x2.add(f64x2.mul(slope, shift), f64x2.add(mean, f64x2.mul(tilt, fromMean)));
  const base = f64x2.add(was, rise);
  const steep = f64x2.add(slope, tilt);
  const useful = v128.and(
    within(v128.load(state, SQUARES), MAX_SQUARES),
    v128.and(within(base, MAX_REFERENCE), within(steep, MAX_REFERENCE)),
  );
  const newBase = v128.bitselect(base, v128.load(place), useful);
  v128.store(state, v128.bitselect(newBase, was, mask), BASE);
  v128.store(state, v128.bitselect(v128.and(steep, useful), slope, mask), SLOPE);
}

function within(values: v128, limit: f64): v128 {
  return f64x2.le(f64x2.abs(values), f64x2.splat(limit));
}

/** Adds up two columns of the ring about their reference, and fits. */
function sumPair(state: usize, inRow: usize, to: usize, mask: v128): void {
  const base = v128.load(state, BASE);
  const slope = v128.load(state, SLOPE);
  const pitch = <usize>load<i32>(RING_PITCH);
  let row = <usize>load<i32>(RING) + inRow;
  let sum = f64x2.splat(0);
  let moment = f64x2.splat(0);
  let squares = f64x2.splat(0);
  const times = to + ROW_TIMES;
  const end = times + ((<usize>load<i32>(ROWS)) << 4);
  for (let at = times; at < end; at += 16) {
    const time = v128.load(at);
    const residual = f64x2.sub(f64x2.sub(v128.load(row), base), f64x2.mul(slope, time));
    sum = f64x2.add(sum, residual);
    moment = f64x2.add(moment, f64x2.mul(time, residual));
    squares = f64x2.add(squares, f64x2.mul(residual, residual));
    row += pitch;
  }
  v128.store(state, v128.bitselect(sum, v128.load(state, SUM), mask), SUM);
  v128.store(state, v128.bitselect(moment, v128.load(state, MOMENT), mask), MOMENT);
  v128.store(state, v128.bitselect(squares, v128.load(state, PEAK), mask), PEAK);
  v128.store(state, v128.bitselect(squares, v128.load(state, SQUARES), mask), SQUARES);
  Lanes.fit(
    v128.load(to, INVERSE),
    v128.load(to, MEAN_TIME),
    v128.load(to, INVERSE_SXX),
    v128.load(to, FROM_MEAN),
    v128.load(to, TARGET_TIME),
    state,
  );
}
