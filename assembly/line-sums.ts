/**
 * The sums of a sliding window; `src/forecast/line-sums.ts` explains them and does the same operations in the same
 * order: change both or neither.
 */
import {
  BLOCK_POINTS,
  CURRENT,
  FIRST_SLOPE,
  MIRROR,
  NEXT,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_STATE,
  POINT_BYTES,
  RECENT,
  RING,
  SLOPE,
  STATE_READY,
  SUFFIX,
  SUFFIX_ORIGIN,
  SUFFIX_SLOPE,
  SUFFIX_SQUARED,
  SUFFIX_TIME,
  SUM_TIME,
  WINDOW_POINTS,
} from "./layout";

/** Prepares the suffix of one place of the block before the current one; inlined: a call costs more than it does. */
export class Suffix {
  @inline static prepare(series: usize, place: usize): void {
    const at = load<usize>(series, MIRROR) - place;
    const uv = f64x2.sub(v128.load(at, POINT_BYTES), v128.load(series, SUFFIX_ORIGIN));
    const u = f64x2.splat(f64x2.extract_lane(uv, 0));
    const v = f64x2.splat(f64x2.extract_lane(uv, 1));
    // (r, v): the second slope is 0.
    const rv = f64x2.sub(v, f64x2.mul(v128.load(series, SUFFIX_SLOPE), u));
    v128.store(at, f64x2.add(v128.load(at, POINT_BYTES + SUFFIX), uv), SUFFIX);
    v128.store(at, f64x2.add(v128.load(at, POINT_BYTES + SUFFIX_TIME), f64x2.mul(u, uv)), SUFFIX_TIME);
    v128.store(at, f64x2.add(v128.load(at, POINT_BYTES + SUFFIX_SQUARED), f64x2.mul(rv, rv)), SUFFIX_SQUARED);
  }
}

/**
 * The current block is whole: the next begins with the point (`tSeconds`, `value`), its origin. Answers the block's end.
 * It writes whole vectors: a vector that was written in halves cannot be loaded before both are in the cache.
 */
export function startBlock(series: usize, tSeconds: f64, value: f64): usize {
  const whole = load<i32>(series, BLOCK_POINTS);
  const capacity = load<i32>(series, WINDOW_POINTS);
  const half = capacity >> 1;
  const slope = currentSlope(series);
  for (let sum = series + SUM_TIME; sum < series + ORIGIN_TIME; sum += 16) moveOn(sum, 0, whole === 0);
  moveOn(series + ORIGIN_TIME, tSeconds, whole === 0);
  moveOn(series + ORIGIN_VALUE, value, whole === 0);
  moveOn(series + SLOPE, slope, whole === 0);
  v128.store(series, pair(tSeconds, value), SUFFIX_ORIGIN);
  v128.store(series, pair(slope, 0), SUFFIX_SLOPE);
  const ring = series + RING;
  const middle = ring + <usize>half * POINT_BYTES;
  const end = ring + <usize>capacity * POINT_BYTES;
  const wasFirst = whole > 0 && load<usize>(series, NEXT) === middle;
  const start = wasFirst ? middle : ring;
  const last = (wasFirst ? middle : end) - POINT_BYTES;
  store<usize>(series, start, NEXT);
  store<usize>(series, start + last - POINT_BYTES, MIRROR);
  clearSuffix(last);
  store<i32>(series, wasFirst ? capacity - half : half, BLOCK_POINTS);
  return wasFirst ? end : middle;
}

/** What the current block has becomes recent, and `next` is current; in the first block, recent too. */
function moveOn(both: usize, next: f64, first: bool): void {
  v128.store(both, pair(first ? next : load<f64>(both, CURRENT), next));
}

function pair(one: f64, other: f64): v128 {
  return f64x2.replace_lane(f64x2.splat(one), 1, other);
}

/** The suffix beside the place at `place` becomes that of nothing. */
export function clearSuffix(place: usize): void {
  v128.store(place, f64x2.splat(0), SUFFIX);
  v128.store(place, f64x2.splat(0), SUFFIX_TIME);
  v128.store(place, f64x2.splat(0), SUFFIX_SQUARED);
}

/** The first block's slope: that of the line through the first two points. */
export function startSlope(series: usize, tSeconds: f64, value: f64): void {
  const run = tSeconds - load<f64>(series, ORIGIN_TIME + RECENT);
  const slope = (value - load<f64>(series, ORIGIN_VALUE + RECENT)) / run;
  v128.store(series, pair(slope, slope), SLOPE);
  v128.store(series, pair(slope, 0), SUFFIX_SLOPE);
  store<f64>(series, slope, FIRST_SLOPE);
}

function currentSlope(series: usize): f64 {
  const ready = load<f64>(series, OUTPUT_STATE) === STATE_READY;
  return ready ? load<f64>(series, OUTPUT_SLOPE_PER_SECOND) : load<f64>(series, FIRST_SLOPE);
}
