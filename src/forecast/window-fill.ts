/**
 * Everything about a push that is not so in a full, ready window in the middle of a block: `assembly/window-fill.ts` does
 * the same operations in the same order, change both or neither.
 */
import { seriesColdHalfWidth } from "./cold-interval.ts";
import { clearSuffix, startBlock, startSlope } from "./line-sums.ts";
import {
  BASE_WIDTH,
  BLOCK_END,
  COLD_SUM,
  INVERSE_POINTS,
  LAST_VALUE,
  MIN_POINTS,
  MODE,
  NEXT,
  OUTPUT_INTERVAL,
  OUTPUT_POINTS,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  POINT_FIELDS,
  POINTS,
  type SeriesMemory,
  STATE_COLD,
  STATE_READY,
  STEADY_END,
  WIDTH_FACTOR,
  WINDOW_POINTS,
} from "./series-layout.ts";
import { studentT975 } from "./student-t.ts";

/** Below this no line is ever fitted, and a window has no two halves. */
const fewestLinePoints = 3;
const stepMode = 0;
const startMode = 1;
const coldMode = 2;

/**
 * Prepares the push of a point: starts a block, lengthens a window that is not full. False when the window is too small
 * for sums, and the push done.
 */
export function prepare(memory: SeriesMemory, stepSeconds: number, tSeconds: number, value: number): boolean {
  const { doubles: m, counters } = memory;
  const capacity = counters[WINDOW_POINTS] as number;
  const before = counters[POINTS] as number;
  const full = before === capacity;
  const points = full ? before : lengthen(memory, before, stepSeconds, value);
  if (points < (counters[MIN_POINTS] as number)) counters[MODE] = coldMode;
  else counters[MODE] = m[OUTPUT_STATE] === STATE_READY ? stepMode : startMode;
  if (capacity < fewestLinePoints) {
    forecastCold(memory, value);
    return false;
  }
  if (full || counters[NEXT] === counters[BLOCK_END]) startBlock(memory, tSeconds, value);
  const next = counters[NEXT] as number;
  // Nothing leaves a window that is not full, and its next push needs preparing too.
  if (!full) clearSuffix(m, next);
  counters[STEADY_END] = full ? (counters[BLOCK_END] as number) : next + POINT_FIELDS;
  if (points === 2) startSlope(m, tSeconds, value);
  return true;
}

/** Writes a cold forecast and answers true, or starts the average when this is the first forecast of a line. */
export function isCold(memory: SeriesMemory, last: number, value: number): boolean {
  const { doubles: m, counters } = memory;
  if (counters[MODE] === coldMode) {
    forecastCold(memory, last);
    return true;
  }
  m[OUTPUT_SMOOTHED] = value;
  m[OUTPUT_STATE] = STATE_READY;
  return false;
}

/** Counts one more point, and what depends on the count alone. Answers the count. */
function lengthen(
  { doubles: m, counters }: SeriesMemory,
  before: number,
  stepSeconds: number,
  value: number,
): number {
  const points = before + 1;
  counters[POINTS] = points;
  m[OUTPUT_POINTS] = points;
  m[INVERSE_POINTS] = 1 / points;
  const quantile = studentT975(points - 2);
  const factor = (quantile * quantile) / Math.max(points - 2, 1);
  m[WIDTH_FACTOR] = factor;
  m[BASE_WIDTH] = factor * (1 + 1 / points);
  const increment = value - (m[LAST_VALUE] as number);
  m[COLD_SUM] = before === 0 ? 0 : (m[COLD_SUM] as number) + (increment * increment) / stepSeconds;
  m[LAST_VALUE] = value;
  return points;
}

function forecastCold({ doubles: m, counters }: SeriesMemory, last: number): void {
  m[OUTPUT_STATE] = STATE_COLD;
  m[OUTPUT_VALUE] = last;
  m[OUTPUT_SMOOTHED] = last;
  m[OUTPUT_INTERVAL] = seriesColdHalfWidth(m, counters[POINTS] as number);
  m[OUTPUT_SLOPE_PER_SECOND] = 0;
}
