/**
 * The sums of a sliding window, without ever taking a point out of a sum: whatever left the window has left no
 * rounding error behind. Points come in blocks of half a window, and the window is always
 *
 *     the rest of the block before the last  +  the last whole block  +  the current block
 *
 * `RECENT` sums the latter two by adding; the rest comes from suffix sums, which one step a push prepares backwards
 * through a block in the time that the next one takes to fill. Origin and slope change with each block, and the origin
 * is always a point of the window. `src/forecast/line-sums.ts` does the same operations in the same order.
 */
import {
  BLOCK_LEFT,
  BLOCK_POINTS,
  CURRENT,
  NEXT,
  NEXT_SLOPE,
  NO_SUFFIX,
  POINT_BYTES,
  POINT_SUFFIX,
  POINTS,
  RECENT,
  RING,
  SUFFIX,
  SUFFIX_AT,
  SUFFIX_LEFT,
  SUMS_FIRST,
  SUMS_ORIGIN,
  SUMS_SLOPE,
  SUMS_SQUARED,
  SUMS_TIME,
  WINDOW_POINTS,
} from "./layout";

/** Inlined by hand where the compiler would not: each runs three times a push. */
export class LineSums {
  /** Adds `point`, (t, y), to the sums at `sums`, about the origin and slope of `about`. */
  @inline static add(sums: usize, about: usize, point: v128): void {
    const uv = f64x2.sub(point, v128.load(about, SUMS_ORIGIN));
    const u = f64x2.splat(f64x2.extract_lane(uv, 0));
    const v = f64x2.splat(f64x2.extract_lane(uv, 1));
    const rv = f64x2.sub(v, f64x2.mul(v128.load(about, SUMS_SLOPE), u));
    v128.store(sums, f64x2.add(v128.load(sums, SUMS_FIRST), uv), SUMS_FIRST);
    v128.store(sums, f64x2.add(v128.load(sums, SUMS_TIME), f64x2.mul(u, uv)), SUMS_TIME);
    v128.store(sums, f64x2.add(v128.load(sums, SUMS_SQUARED), f64x2.mul(rv, rv)), SUMS_SQUARED);
  }

  @inline static copy(from: usize, to: usize): void {
    v128.store(to, v128.load(from, SUMS_FIRST), SUMS_FIRST);
    v128.store(to, v128.load(from, SUMS_TIME), SUMS_TIME);
    v128.store(to, v128.load(from, SUMS_SQUARED), SUMS_SQUARED);
  }

  /** Takes one point into the window; `points` counts it already. Answers where the suffix to add is. */
  @inline static take(series: usize, tSeconds: f64, value: f64, points: i32, full: bool): usize {
    const place = load<i32>(series, NEXT);
    let left = load<i32>(series, BLOCK_LEFT);
    if (left === 0) left = startBlock(series, place, tSeconds, value);
    left--;
    store<i32>(series, left, BLOCK_LEFT);
    const point = f64x2.replace_lane(f64x2.splat(tSeconds), 1, value);
    v128.store(series + <usize>place, point, RING);
    if (points === 2) startSlope(series, tSeconds, value);
    if (load<i32>(series, SUFFIX_LEFT) > 0) LineSums.stepBack(series);
    LineSums.add(series + RECENT, series + RECENT, point);
    LineSums.add(series + CURRENT, series + CURRENT, point);
    const last = (load<i32>(series, WINDOW_POINTS) - 1) * POINT_BYTES;
    const next = place === last ? 0 : place + POINT_BYTES;
    store<i32>(series, next, NEXT);
    return full && left > 0 ? series + <usize>next + (RING + POINT_SUFFIX) : series + NO_SUFFIX;
  }

  /** Puts the point before the last one into the running suffix, and keeps the suffix beside that point. */
  @inline static stepBack(series: usize): void {
    const after = load<i32>(series, SUFFIX_AT);
    const at = (after === 0 ? load<i32>(series, WINDOW_POINTS) * POINT_BYTES : after) - POINT_BYTES;
    store<i32>(series, at, SUFFIX_AT);
    store<i32>(series, load<i32>(series, SUFFIX_LEFT) - 1, SUFFIX_LEFT);
    const place = series + <usize>at;
    LineSums.add(series + SUFFIX, series + CURRENT, v128.load(place, RING));
    LineSums.copy(series + SUFFIX, place + (RING + POINT_SUFFIX));
  }
}

/** Forgets every point. */
export function clear(series: usize): void {
  memory.fill(series + RECENT, 0, RING - RECENT);
  store<i32>(series, 0, POINTS);
  store<i32>(series, 0, NEXT);
  store<i32>(series, 0, SUFFIX_AT);
  store<i32>(series, 0, SUFFIX_LEFT);
  store<i32>(series, 0, BLOCK_LEFT);
  store<i32>(series, 0, BLOCK_POINTS);
  store<f64>(series, 0, NEXT_SLOPE);
}

/** The current block is whole: the next begins with the point (`tSeconds`, `value`), its origin. Answers its length. */
function startBlock(series: usize, place: i32, tSeconds: f64, value: f64): i32 {
  const current = series + CURRENT;
  const recent = series + RECENT;
  const whole = load<i32>(series, BLOCK_POINTS);
  LineSums.copy(current, recent);
  v128.store(recent, v128.load(current, SUMS_ORIGIN), SUMS_ORIGIN);
  v128.store(recent, v128.load(current, SUMS_SLOPE), SUMS_SLOPE);
  LineSums.copy(series + NO_SUFFIX, current);
  LineSums.copy(series + NO_SUFFIX, series + SUFFIX);
  store<f64>(current, tSeconds, SUMS_ORIGIN);
  store<f64>(current, value, SUMS_ORIGIN + 8);
  store<f64>(current, load<f64>(series, NEXT_SLOPE), SUMS_SLOPE);
  if (whole === 0) v128.store(recent, v128.load(current, SUMS_ORIGIN), SUMS_ORIGIN);
  store<i32>(series, place, SUFFIX_AT);
  store<i32>(series, max(whole - 1, 0), SUFFIX_LEFT);
  const capacity = load<i32>(series, WINDOW_POINTS);
  const length = whole === 0 ? capacity >> 1 : capacity - whole;
  store<i32>(series, length, BLOCK_POINTS);
  return length;
}

/** The first block's slope: that of the line through the first two points. */
function startSlope(series: usize, tSeconds: f64, value: f64): void {
  const recent = series + RECENT;
  const run = tSeconds - load<f64>(recent, SUMS_ORIGIN);
  const slope = (value - load<f64>(recent, SUMS_ORIGIN + 8)) / run;
  store<f64>(recent, slope, SUMS_SLOPE);
  store<f64>(series + CURRENT, slope, SUMS_SLOPE);
  store<f64>(series, slope, NEXT_SLOPE);
}
