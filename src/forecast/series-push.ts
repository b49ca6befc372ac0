/** A push on a series' memory; `assembly/series.ts` does the same operations in the same order: change both or neither. */
import { seriesColdHalfWidth } from "./cold-interval.ts";
import { forecastLine } from "./line-fit.ts";
import { clearSums, takePoint } from "./line-sums.ts";
import {
  BASE_LEVERAGE,
  COLD_SUM,
  INVERSE_FREEDOM,
  INVERSE_POINTS,
  LAST_VALUE,
  MIN_POINTS,
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_HALF_WIDTH,
  OUTPUT_NOT_FINITE,
  OUTPUT_POINTS,
  OUTPUT_REPEATED,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  POINTS,
  QUANTILE,
  type SeriesMemory,
  STATE_COLD,
  STATE_EMPTY,
  WINDOW_POINTS,
} from "./series-layout.ts";
import { studentT975 } from "./student-t.ts";

/** What a push answers: an index into `pushResults`. */
const accepted = 0;
const notFinite = 1;
const repeated = 2;
const backward = 3;

const maxMagnitude = 1e100;
const minStepSeconds = 1e-6;
/** Below this no line is ever fitted, and a window has no two halves. */
const fewestLinePoints = 3;

/** Takes one point and brings the outputs up to date, or counts why it was refused. */
export function pushPoint(memory: SeriesMemory, tSeconds: number, value: number): number {
  const { doubles, counters } = memory;
  if (!(Math.abs(tSeconds) <= maxMagnitude && Math.abs(value) <= maxMagnitude))
    return refuse(doubles, OUTPUT_NOT_FINITE, notFinite);
  let points = counters[POINTS] as number;
  const stepSeconds = tSeconds - (doubles[OUTPUT_AT_SECONDS] as number);
  if (!(stepSeconds >= minStepSeconds) && points > 0) {
    if (stepSeconds < 0) return refuse(doubles, OUTPUT_BACKWARD, backward);
    return refuse(doubles, OUTPUT_REPEATED, repeated);
  }
  doubles[OUTPUT_AT_SECONDS] = tSeconds;
  const capacity = counters[WINDOW_POINTS] as number;
  const full = points === capacity;
  if (!full) points = lengthen(memory, points, stepSeconds, value);
  if (capacity >= fewestLinePoints) {
    const suffix = takePoint(memory, tSeconds, value, points, full);
    if (points >= (counters[MIN_POINTS] as number)) {
      forecastLine(doubles, suffix, tSeconds);
      return accepted;
    }
  }
  forecastCold(doubles, points, value);
  return accepted;
}

/** Forgets the window and the average; the counts of refusals stay. */
export function resetSeries(memory: SeriesMemory): void {
  clearSums(memory);
  memory.doubles[OUTPUT_STATE] = STATE_EMPTY;
}

/** Counts one more point, and what depends on the count alone. Answers the count. */
function lengthen(
  { doubles, counters }: SeriesMemory,
  before: number,
  stepSeconds: number,
  value: number,
): number {
  const points = before + 1;
  counters[POINTS] = points;
  doubles[OUTPUT_POINTS] = points;
  doubles[INVERSE_POINTS] = 1 / points;
  doubles[BASE_LEVERAGE] = 1 + 1 / points;
  if (points > 2) doubles[INVERSE_FREEDOM] = 1 / (points - 2);
  doubles[QUANTILE] = studentT975(points - 2);
  const increment = value - (doubles[LAST_VALUE] as number);
  doubles[COLD_SUM] =
    before === 0 ? 0 : (doubles[COLD_SUM] as number) + (increment * increment) / stepSeconds;
  doubles[LAST_VALUE] = value;
  return points;
}

function refuse(doubles: Float64Array, counter: number, result: number): number {
  doubles[counter] = (doubles[counter] as number) + 1;
  return result;
}

function forecastCold(doubles: Float64Array, points: number, last: number): void {
  doubles[OUTPUT_STATE] = STATE_COLD;
  doubles[OUTPUT_VALUE] = last;
  doubles[OUTPUT_SMOOTHED] = last;
  doubles[OUTPUT_HALF_WIDTH] = seriesColdHalfWidth(doubles, points);
  doubles[OUTPUT_SLOPE_PER_SECOND] = 0;
}
