/**
 * The tick of a batch in plain TypeScript; `assembly/batch.ts` and `assembly/batch-line.ts` do the same operations in
 * the same order, two series at a time: change both or neither. `BatchClock` derives the formulas.
 */
import {
  ALPHA,
  BASE,
  type BatchMemory,
  BLOCK_FIELDS,
  END_BLOCK,
  FIRST_BLOCK,
  FROM,
  FROM_MEAN,
  HALF_WIDTH,
  header,
  INVERSE,
  INVERSE_SXX,
  KEPT,
  LANES,
  MEAN_TIME,
  MOMENT,
  NEW_TIME,
  OLD_TIME,
  PEAK,
  RANGE_FIELDS,
  SAVED_FIELDS,
  SLOPE,
  SLOPE_PER_SECOND,
  SMOOTHED,
  SQUARES,
  SUM,
  TARGET_TIME,
  TO,
  VALUE,
  WIDTH,
} from "./batch-layout.ts";
import { hasLost, sumBlock } from "./js-batch-sum.ts";

const maxMagnitude = 1e100;

/** Takes the values at `layout.input`. Answers how many blocks are marked. */
export function tickBatch(memory: BatchMemory): number {
  const { layout, integers } = memory;
  const head = layout.header / 4;
  integers[head + header.marked] = 0;
  const ranges = integers[head + header.ranges] as number;
  for (let range = 0; range < ranges; range++)
    updateRange(memory, layout.rangeTable / 4 + range * RANGE_FIELDS);
  return integers[head + header.marked] as number;
}

function updateRange(memory: BatchMemory, range: number): void {
  const { layout, doubles: m, integers } = memory;
  const row = (integers[layout.header / 4 + header.newRow] as number) / 8;
  const full = integers[layout.header / 4 + header.full] !== 0;
  const from = (integers[range + FROM] as number) / 8;
  const to = (integers[range + TO] as number) / 8;
  const end = integers[range + END_BLOCK] as number;
  for (let block = integers[range + FIRST_BLOCK] as number; block < end; block++) {
    const state = layout.state / 8 + block * BLOCK_FIELDS;
    const values = layout.input / 8 + block * LANES;
    const place = row + block * LANES;
    if (!isGood(m, values) || integers[layout.flags / 4 + block] !== 0)
      markBlock(memory, block, state, values);
    // Nothing leaves a window that is not full: the base, at time 0, counts for nothing.
    const lost = slideBlock(m, from, values, full ? place : state, place, state);
    if (from !== to || lost) sumBlock(memory, block, place, from, to);
    finishBlock(m, to, state);
  }
}

function isGood(m: Float64Array, values: number): boolean {
  for (let lane = values; lane < values + LANES; lane++)
    if (!(Math.abs(m[lane] as number) <= maxMagnitude)) return false;
  return true;
}

/** Notes the block, keeps its outputs as they are, and takes no more sums of a series whose value is bad. */
function markBlock(memory: BatchMemory, block: number, state: number, values: number): void {
  const { layout, doubles: m, integers } = memory;
  const at = layout.header / 4 + header.marked;
  const marked = integers[at] as number;
  integers[layout.marks / 4 + marked] = block;
  integers[at] = marked + 1;
  m.copyWithin(layout.saved / 8 + marked * SAVED_FIELDS, state + VALUE, state + BLOCK_FIELDS);
  for (let lane = 0; lane < LANES; lane++)
    if (!(Math.abs(m[values + lane] as number) <= maxMagnitude)) m[state + PEAK + lane] = Number.NaN;
}

/** Takes in each new value and out the old, and fits; answers whether a series has to be summed afresh. */
function slideBlock(
  m: Float64Array,
  c: number,
  values: number,
  olds: number,
  place: number,
  block: number,
): boolean {
  const newTime = m[c + NEW_TIME] as number;
  const oldTime = m[c + OLD_TIME] as number;
  const inverse = m[c + INVERSE] as number;
  const meanTime = m[c + MEAN_TIME] as number;
  const inverseSxx = m[c + INVERSE_SXX] as number;
  const fromMean = m[c + FROM_MEAN] as number;
  const targetTime = m[c + TARGET_TIME] as number;
  let lost = false;
  for (let lane = 0; lane < LANES; lane++) {
    const state = block + lane;
    const value = m[values + lane] as number;
    const leaving = m[olds + lane] as number;
    m[place + lane] = value;
    const base = m[state + BASE] as number;
    const slope = m[state + SLOPE] as number;
    const into = value - base - slope * newTime;
    const out = leaving - base - slope * oldTime;
    const change = into - out;
    const sum = (m[state + SUM] as number) + change;
    const moment = (m[state + MOMENT] as number) + (newTime * into - oldTime * out);
    const squares = (m[state + SQUARES] as number) + change * (into + out);
    m[state + SUM] = sum;
    m[state + MOMENT] = moment;
    m[state + SQUARES] = squares;
    let peak = m[state + PEAK] as number;
    // Squares that are no number leave the peak as it is.
    if (squares > peak) peak = squares;
    const mean = sum * inverse;
    const across = moment - sum * meanTime;
    const tilt = across * inverseSxx;
    const rest = squares - (mean * sum + tilt * across);
    m[state + PEAK] = peak;
    m[state + VALUE] = base + (slope * targetTime + (mean + tilt * fromMean));
    m[state + HALF_WIDTH] = rest;
    m[state + SLOPE_PER_SECOND] = slope + tilt;
    if (hasLost(rest, peak)) lost = true;
  }
  return lost;
}

/** The average and the interval. */
function finishBlock(m: Float64Array, c: number, block: number): void {
  const width = m[c + WIDTH] as number;
  const alpha = m[c + ALPHA] as number;
  const kept = m[c + KEPT] as number;
  for (let state = block; state < block + LANES; state++) {
    const rest = m[state + HALF_WIDTH] as number;
    m[state + SMOOTHED] = alpha * (m[state + VALUE] as number) + kept * (m[state + SMOOTHED] as number);
    m[state + HALF_WIDTH] = Math.sqrt(Math.max(rest, 0) * width);
  }
}
