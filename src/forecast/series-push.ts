/** A push on a series' memory; `assembly/series.ts` does the same operations in the same order: change both or neither. */
import { stepLine } from "./line-fit.ts";
import {
  COUNTERS,
  CURRENT,
  FIRST_SLOPE,
  NEXT,
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_NOT_FINITE,
  OUTPUT_REPEATED,
  OUTPUT_STATE,
  POINTS,
  RECENT,
  type SeriesMemory,
  STATE_EMPTY,
  STEADY_END,
  SUMS_FIELDS,
} from "./series-layout.ts";
import { prepare } from "./window-fill.ts";

/** What a push answers: an index into `pushResults`. */
const accepted = 0;
const notFinite = 1;
const repeated = 2;
const backward = 3;

const maxMagnitude = 1e100;
const minStepSeconds = 1e-6;

/** Takes one point and brings the outputs up to date, or counts why it was refused. */
export function pushPoint(memory: SeriesMemory, tSeconds: number, value: number): number {
  const { doubles, counters } = memory;
  const stepSeconds = tSeconds - (doubles[OUTPUT_AT_SECONDS] as number);
  const place = counters[NEXT] as number;
  // A time that is not before a good one needs no lower limit.
  const good = stepSeconds >= minStepSeconds && tSeconds <= maxMagnitude && Math.abs(value) <= maxMagnitude;
  if (!good || place === counters[STEADY_END]) return pushSpecially(memory, tSeconds, value, stepSeconds);
  doubles[OUTPUT_AT_SECONDS] = tSeconds;
  stepLine(memory, place, tSeconds, value);
  return accepted;
}

/** Forgets the window and the average; the counts of refusals stay. */
export function resetSeries({ doubles, counters }: SeriesMemory): void {
  counters.fill(0, POINTS, COUNTERS);
  doubles.fill(0, RECENT, CURRENT + SUMS_FIELDS);
  doubles[FIRST_SLOPE] = 0;
  doubles[OUTPUT_STATE] = STATE_EMPTY;
}

/** A push that is refused, or needs preparation. */
function pushSpecially(memory: SeriesMemory, tSeconds: number, value: number, stepSeconds: number): number {
  const refused = refusal(memory, tSeconds, value, stepSeconds);
  if (refused !== accepted) return refused;
  memory.doubles[OUTPUT_AT_SECONDS] = tSeconds;
  if (prepare(memory, stepSeconds, tSeconds, value)) {
    stepLine(memory, memory.counters[NEXT] as number, tSeconds, value);
  }
  return accepted;
}

/** Why a point is refused, counted, or that it is not; the first may come at any time. */
function refusal(
  { doubles, counters }: SeriesMemory,
  tSeconds: number,
  value: number,
  stepSeconds: number,
): number {
  if (!(Math.abs(tSeconds) <= maxMagnitude && Math.abs(value) <= maxMagnitude))
    return refuse(doubles, OUTPUT_NOT_FINITE, notFinite);
  if (stepSeconds >= minStepSeconds || counters[POINTS] === 0) return accepted;
  if (stepSeconds < 0) return refuse(doubles, OUTPUT_BACKWARD, backward);
  return refuse(doubles, OUTPUT_REPEATED, repeated);
}

function refuse(doubles: Float64Array, counter: number, result: number): number {
  doubles[counter] = (doubles[counter] as number) + 1;
  return result;
}
