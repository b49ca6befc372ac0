/**
 * The sums of a sliding window, without ever taking a point out of a sum: whatever left the window has left no rounding
 * error behind. Points come in blocks of half a window, and the window is always
 *
 *     the rest of the block before the last  +  the last whole block  +  the current block
 *
 * `RECENT` sums the latter two by adding. The rest comes from suffix sums, of which each push prepares one, going back
 * through the last whole block while the current one fills: a two-stack queue without its pauses. Origin and slope
 * change with each block, and the origin is always a point of the window, so that nothing cancels that the window
 * itself does not. `assembly/line-sums.ts` does the same operations in the same order: change both or neither.
 */
import {
  BLOCK_END,
  CURRENT,
  FIRST_SLOPE,
  MIRROR,
  NEXT,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_STATE,
  POINT_FIELDS,
  POINT_SUFFIX,
  RECENT,
  RING,
  type SeriesMemory,
  SLOPE,
  STATE_READY,
  SUM_COUNT,
  SUM_RESIDUAL_SQUARED,
  SUM_TIME,
  SUM_TIME_TIME,
  SUM_TIME_VALUE,
  SUM_VALUE,
  SUM_VALUE_SQUARED,
  SUMS_FIELDS,
  WINDOW_POINTS,
} from "./series-layout.ts";

/** Adds a point to the current block, and prepares the suffix of one place of the block before it. */
export function turn(m: Float64Array, mirror: number, place: number, tSeconds: number, value: number): void {
  const originTime = m[CURRENT + ORIGIN_TIME] as number;
  const originValue = m[CURRENT + ORIGIN_VALUE] as number;
  const slope = m[CURRENT + SLOPE] as number;
  const at = mirror - place;
  const after = at + POINT_FIELDS;
  const u = (m[after] as number) - originTime;
  const v = (m[after + 1] as number) - originValue;
  addPoint(m, at + POINT_SUFFIX, after + POINT_SUFFIX, u, v, slope);
  addPoint(m, CURRENT, CURRENT, tSeconds - originTime, value - originValue, slope);
}

/** Writes to `to` the sums at `from` with the point (u, v) added to them. */
function addPoint(m: Float64Array, to: number, from: number, u: number, v: number, slope: number): void {
  const r = v - slope * u;
  m[to + SUM_TIME] = (m[from + SUM_TIME] as number) + u;
  m[to + SUM_VALUE] = (m[from + SUM_VALUE] as number) + v;
  m[to + SUM_TIME_TIME] = (m[from + SUM_TIME_TIME] as number) + u * u;
  m[to + SUM_TIME_VALUE] = (m[from + SUM_TIME_VALUE] as number) + u * v;
  m[to + SUM_RESIDUAL_SQUARED] = (m[from + SUM_RESIDUAL_SQUARED] as number) + r * r;
  m[to + SUM_VALUE_SQUARED] = (m[from + SUM_VALUE_SQUARED] as number) + v * v;
}

/** The current block is whole: the next begins with the point (`tSeconds`, `value`), its origin. */
export function startBlock({ doubles: m, counters }: SeriesMemory, tSeconds: number, value: number): void {
  const first = counters[BLOCK_END] === 0;
  const capacity = counters[WINDOW_POINTS] as number;
  const middle = RING + (capacity >> 1) * POINT_FIELDS;
  const end = RING + capacity * POINT_FIELDS;
  m.copyWithin(RECENT, CURRENT, CURRENT + SUMS_FIELDS);
  m.fill(0, CURRENT, CURRENT + SUM_COUNT);
  m[CURRENT + ORIGIN_TIME] = tSeconds;
  m[CURRENT + ORIGIN_VALUE] = value;
  m[CURRENT + SLOPE] = currentSlope(m);
  if (first) m.copyWithin(RECENT, CURRENT, CURRENT + SUMS_FIELDS);
  const wasFirstHalf = !first && counters[NEXT] === middle;
  const start = wasFirstHalf ? middle : RING;
  const last = (wasFirstHalf ? middle : end) - POINT_FIELDS;
  counters[NEXT] = start;
  counters[MIRROR] = start + last - POINT_FIELDS;
  counters[BLOCK_END] = wasFirstHalf ? end : middle;
  clearSuffix(m, last);
}

/** The suffix beside the place at `place` becomes that of nothing. */
export function clearSuffix(m: Float64Array, place: number): void {
  m.fill(0, place + POINT_SUFFIX, place + POINT_SUFFIX + SUM_COUNT);
}

/** The first block's slope: that of the line through the first two points. */
export function startSlope(m: Float64Array, tSeconds: number, value: number): void {
  const run = tSeconds - (m[RECENT + ORIGIN_TIME] as number);
  const slope = (value - (m[RECENT + ORIGIN_VALUE] as number)) / run;
  m[RECENT + SLOPE] = slope;
  m[CURRENT + SLOPE] = slope;
  m[FIRST_SLOPE] = slope;
}

/** The slope that a new block's residuals are taken about. */
function currentSlope(m: Float64Array): number {
  return (m[OUTPUT_STATE] === STATE_READY ? m[OUTPUT_SLOPE_PER_SECOND] : m[FIRST_SLOPE]) as number;
}
