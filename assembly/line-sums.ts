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
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_STATE,
  POINT_BYTES,
  RECENT,
  RING,
  STATE_READY,
  SUFFIX,
  SUMS_BYTES,
  SUMS_FIRST,
  SUMS_ORIGIN,
  SUMS_SLOPE,
  SUMS_SQUARED,
  SUMS_TIME,
  WINDOW_POINTS,
} from "./layout";

/** Each method is inlined: a call costs more than it does. */
export class LineSums {
  /** (r, v) of a point (u, v) about an origin: r = v - slope u. */
  @inline static residuals(uv: v128, slope: v128): v128 {
    const u = f64x2.splat(f64x2.extract_lane(uv, 0));
    const v = f64x2.splat(f64x2.extract_lane(uv, 1));
    return f64x2.sub(v, f64x2.mul(slope, u));
  }

  /** Writes to `to` the sums at `from` with the point (u, v) added to them. */
  @inline static add(to: usize, from: usize, uv: v128, slope: v128): void {
    const u = f64x2.splat(f64x2.extract_lane(uv, 0));
    const rv = LineSums.residuals(uv, slope);
    v128.store(to, f64x2.add(v128.load(from, SUMS_FIRST), uv), SUMS_FIRST);
    v128.store(to, f64x2.add(v128.load(from, SUMS_TIME), f64x2.mul(u, uv)), SUMS_TIME);
    v128.store(to, f64x2.add(v128.load(from, SUMS_SQUARED), f64x2.mul(rv, rv)), SUMS_SQUARED);
  }

  /** Adds `point`, (t, y), to the current block, and prepares the suffix of one place of the block before it. */
  @inline static turn(series: usize, place: usize, point: v128): void {
    const origin = v128.load(series, CURRENT + SUMS_ORIGIN);
    const slope = v128.load(series, CURRENT + SUMS_SLOPE);
    const at = <usize>load<i32>(series, MIRROR) - place;
    const after = at + <usize>POINT_BYTES;
    LineSums.add(at + SUFFIX, after + SUFFIX, f64x2.sub(v128.load(after), origin), slope);
    LineSums.add(series + CURRENT, series + CURRENT, f64x2.sub(point, origin), slope);
  }
}

/** The current block is whole: the next begins with the point (`tSeconds`, `value`), its origin. Answers the block's end. */
export function startBlock(series: usize, tSeconds: f64, value: f64): i32 {
  const current = series + CURRENT;
  const whole = load<i32>(series, BLOCK_POINTS);
  const capacity = load<i32>(series, WINDOW_POINTS);
  const half = capacity >> 1;
  memory.copy(series + RECENT, current, SUMS_BYTES);
  memory.fill(current, 0, SUMS_ORIGIN);
  store<f64>(current, tSeconds, SUMS_ORIGIN);
  store<f64>(current, value, SUMS_ORIGIN + 8);
  store<f64>(current, currentSlope(series), SUMS_SLOPE);
  if (whole === 0) memory.copy(series + RECENT, current, SUMS_BYTES);
  const ring = <i32>(series + RING);
  const middle = ring + half * POINT_BYTES;
  const end = ring + capacity * POINT_BYTES;
  const wasFirst = whole > 0 && load<i32>(series, NEXT) === middle;
  const start = wasFirst ? middle : ring;
  const last = (wasFirst ? middle : end) - POINT_BYTES;
  store<i32>(series, start, NEXT);
  store<i32>(series, start + last - POINT_BYTES, MIRROR);
  clearSuffix(<usize>last);
  store<i32>(series, wasFirst ? capacity - half : half, BLOCK_POINTS);
  return wasFirst ? end : middle;
}

/** The suffix beside the place at `place` becomes that of nothing. */
export function clearSuffix(place: usize): void {
  memory.fill(place + SUFFIX, 0, SUMS_ORIGIN);
}

/** The first block's slope: that of the line through the first two points. */
export function startSlope(series: usize, tSeconds: f64, value: f64): void {
  const recent = series + RECENT;
  const run = tSeconds - load<f64>(recent, SUMS_ORIGIN);
  const slope = (value - load<f64>(recent, SUMS_ORIGIN + 8)) / run;
  store<f64>(recent, slope, SUMS_SLOPE);
  store<f64>(series + CURRENT, slope, SUMS_SLOPE);
  store<f64>(series, slope, FIRST_SLOPE);
}

function currentSlope(series: usize): f64 {
  const ready = load<f64>(series, OUTPUT_STATE) === STATE_READY;
  return ready ? load<f64>(series, OUTPUT_SLOPE_PER_SECOND) : load<f64>(series, FIRST_SLOPE);
}
