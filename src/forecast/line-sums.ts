/**
 * The sums of a sliding window, without ever taking a point out of a sum: whatever left the window has left no rounding
 * error behind. Points come in blocks of half a window, and the window is always
 *
 *     the rest of the block before the last  +  the last whole block  +  the current block
 *
 * `RECENT` sums the latter two by adding; the rest comes from suffix sums, which one step a push prepares backwards
 * through a block in the time that the next one takes to fill (a two-stack queue without its pauses). Origin and slope
 * change with each block, and the origin is always a point of the window, so that nothing cancels that the window
 * itself does not. `assembly/line-sums.ts` does the same operations in the same order: change both or neither.
 */
import {
  BLOCK_LEFT,
  BLOCK_POINTS,
  CURRENT,
  NEXT,
  NEXT_SLOPE,
  NO_SUFFIX,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  POINT_FIELDS,
  POINT_SUFFIX,
  POINTS,
  RECENT,
  RING,
  type SeriesMemory,
  SLOPE,
  SUFFIX,
  SUFFIX_AT,
  SUFFIX_LEFT,
  SUM_RESIDUAL_SQUARED,
  SUM_TIME,
  SUM_TIME_TIME,
  SUM_TIME_VALUE,
  SUM_VALUE,
  SUM_VALUE_SQUARED,
  SUMS,
  WINDOW_POINTS,
} from "./series-layout.ts";

/** Takes one point into the window; `points` counts it already. Answers the index of the suffix to add. */
export function takePoint(
  memory: SeriesMemory,
  tSeconds: number,
  value: number,
  points: number,
  full: boolean,
): number {
  const { doubles, counters } = memory;
  const place = counters[NEXT] as number;
  let left = counters[BLOCK_LEFT] as number;
  if (left === 0) left = startBlock(memory, place, tSeconds, value);
  left--;
  counters[BLOCK_LEFT] = left;
  const at = RING + place * POINT_FIELDS;
  doubles[at] = tSeconds;
  doubles[at + 1] = value;
  if (points === 2) startSlope(doubles, tSeconds, value);
  if ((counters[SUFFIX_LEFT] as number) > 0) stepBack(memory);
  addPoint(doubles, RECENT, RECENT, tSeconds, value);
  addPoint(doubles, CURRENT, CURRENT, tSeconds, value);
  const next = place + 1 === counters[WINDOW_POINTS] ? 0 : place + 1;
  counters[NEXT] = next;
  return full && left > 0 ? RING + next * POINT_FIELDS + POINT_SUFFIX : NO_SUFFIX;
}

/** Forgets every point. */
export function clearSums({ doubles, counters }: SeriesMemory): void {
  doubles.fill(0, RECENT, RING);
  counters.fill(0, POINTS);
  doubles[NEXT_SLOPE] = 0;
}

/** Adds a point to the sums at `sums`, about the origin and slope of the set at `about`. */
function addPoint(m: Float64Array, sums: number, about: number, tSeconds: number, value: number): void {
  const u = tSeconds - (m[about + ORIGIN_TIME] as number);
  const v = value - (m[about + ORIGIN_VALUE] as number);
  const r = v - (m[about + SLOPE] as number) * u;
  m[sums + SUM_TIME] = (m[sums + SUM_TIME] as number) + u;
  m[sums + SUM_VALUE] = (m[sums + SUM_VALUE] as number) + v;
  m[sums + SUM_TIME_TIME] = (m[sums + SUM_TIME_TIME] as number) + u * u;
  m[sums + SUM_TIME_VALUE] = (m[sums + SUM_TIME_VALUE] as number) + u * v;
  m[sums + SUM_RESIDUAL_SQUARED] = (m[sums + SUM_RESIDUAL_SQUARED] as number) + r * r;
  m[sums + SUM_VALUE_SQUARED] = (m[sums + SUM_VALUE_SQUARED] as number) + v * v;
}

/** Puts the point before the last one into the running suffix, and keeps the suffix beside that point. */
function stepBack({ doubles, counters }: SeriesMemory): void {
  const after = counters[SUFFIX_AT] as number;
  const place = (after === 0 ? (counters[WINDOW_POINTS] as number) : after) - 1;
  counters[SUFFIX_AT] = place;
  counters[SUFFIX_LEFT] = (counters[SUFFIX_LEFT] as number) - 1;
  const at = RING + place * POINT_FIELDS;
  addPoint(doubles, SUFFIX, CURRENT, doubles[at] as number, doubles[at + 1] as number);
  for (let i = 0; i < SUMS; i++) doubles[at + POINT_SUFFIX + i] = doubles[SUFFIX + i] as number;
}

/** The current block is whole: the next begins with the point (`tSeconds`, `value`), its origin. Answers its length. */
function startBlock(
  { doubles, counters }: SeriesMemory,
  place: number,
  tSeconds: number,
  value: number,
): number {
  const whole = counters[BLOCK_POINTS] as number;
  doubles.copyWithin(RECENT, CURRENT, CURRENT + SLOPE + 1);
  doubles.fill(0, CURRENT, CURRENT + SUMS);
  doubles.fill(0, SUFFIX, SUFFIX + SUMS);
  doubles[CURRENT + ORIGIN_TIME] = tSeconds;
  doubles[CURRENT + ORIGIN_VALUE] = value;
  doubles[CURRENT + SLOPE] = doubles[NEXT_SLOPE] as number;
  if (whole === 0) {
    doubles[RECENT + ORIGIN_TIME] = tSeconds;
    doubles[RECENT + ORIGIN_VALUE] = value;
  }
  counters[SUFFIX_AT] = place;
  counters[SUFFIX_LEFT] = Math.max(whole - 1, 0);
  const capacity = counters[WINDOW_POINTS] as number;
  const length = whole === 0 ? capacity >> 1 : capacity - whole;
  counters[BLOCK_POINTS] = length;
  return length;
}

/** The first block's slope: that of the line through the first two points. */
function startSlope(doubles: Float64Array, tSeconds: number, value: number): void {
  const run = tSeconds - (doubles[RECENT + ORIGIN_TIME] as number);
  const slope = (value - (doubles[RECENT + ORIGIN_VALUE] as number)) / run;
  doubles[RECENT + SLOPE] = slope;
  doubles[CURRENT + SLOPE] = slope;
  doubles[NEXT_SLOPE] = slope;
}
