/**
 * The tick of a batch in plain TypeScript; `assembly/batch.ts` and `assembly/batch-turn.ts` do the same operations in
 * the same order, two series at a time: change both or neither. `BatchClock` derives the formulas.
 */
import {
  AHEAD,
  ALPHA,
  APART,
  BACK_SHARE,
  type BatchMemory,
  BLOCK_FIELDS,
  COEFFICIENT_FIELDS,
  END_BLOCK,
  FIRST_BLOCK,
  FRONT_SHARE,
  FRONT_WEIGHT,
  GROUP_FIELDS,
  HALF_WIDTH,
  header,
  INVERSE,
  KEPT,
  LANES,
  MEAN,
  MEANS_REST,
  ORIGIN,
  REST,
  REST_GAIN,
  SAVED_FIELDS,
  SLOPE,
  SLOPE_GAIN,
  SLOPE_PER_SECOND,
  SLOPE_PULL,
  SLOPES_REST,
  SMOOTHED,
  STEP,
  SUFFIX_FIELDS,
  SUFFIX_ROW,
  TURN_FIELDS,
  TURNS,
  VALUE,
  WIDTH,
} from "./batch-layout.ts";

const maxMagnitude = 1e100;

/** Takes the values at `layout.input`. Answers how many blocks are marked. */
export function tickBatch(memory: BatchMemory): number {
  const { layout, integers } = memory;
  integers[layout.header / 4 + header.marked] = 0;
  for (let group = 0; group < layout.groups; group++) {
    const row = layout.groupTable / 4 + group * GROUP_FIELDS;
    const first = integers[row + FIRST_BLOCK] as number;
    const end = integers[row + END_BLOCK] as number;
    if (integers[row + TURNS] !== 0) turnGroup(memory, first, end);
    const coefficients = layout.coefficients / 8 + group * COEFFICIENT_FIELDS;
    updateGroup(memory, coefficients, first, end, (integers[row + SUFFIX_ROW] as number) / 8);
  }
  return integers[layout.header / 4 + header.marked] as number;
}

function updateGroup(memory: BatchMemory, c: number, first: number, end: number, suffixRow: number): void {
  const { layout, doubles: m, integers } = memory;
  const ring = (integers[layout.header / 4 + header.newRow] as number) / 8;
  const flags = layout.flags / 4;
  for (let block = first; block < end; block++) {
    const state = layout.state / 8 + block * BLOCK_FIELDS;
    let values = layout.input / 8 + block * LANES;
    if (!isGood(m, values) || integers[flags + block] !== 0) values = markBlock(memory, block, state, values);
    extendBlock(m, c, values, ring + block * LANES, state);
    forecastBlock(m, c, state, suffixRow + block * SUFFIX_FIELDS);
  }
}

function isGood(m: Float64Array, values: number): boolean {
  for (let lane = values; lane < values + LANES; lane++)
    if (!(Math.abs(m[lane] as number) <= maxMagnitude)) return false;
  return true;
}

/** Notes the block, keeps its outputs as they are, and answers where its values are with the bad ones replaced. */
function markBlock(memory: BatchMemory, block: number, state: number, values: number): number {
  const { layout, doubles: m, integers } = memory;
  const at = layout.header / 4 + header.marked;
  const marked = integers[at] as number;
  integers[layout.marks / 4 + marked] = block;
  integers[at] = marked + 1;
  m.copyWithin(layout.saved / 8 + marked * SAVED_FIELDS, state + VALUE, state + BLOCK_FIELDS);
  const scratch = layout.scratch / 8;
  for (let lane = 0; lane < LANES; lane++) {
    const value = m[values + lane] as number;
    const good = Math.abs(value) <= maxMagnitude;
    m[scratch + lane] = good ? value : (m[state + ORIGIN + lane] as number);
  }
  return scratch;
}

/** Adds each value to its back. */
function extendBlock(m: Float64Array, c: number, values: number, place: number, block: number): void {
  const step = m[c + STEP] as number;
  const inverse = m[c + INVERSE] as number;
  const slopeGain = m[c + SLOPE_GAIN] as number;
  const restGain = m[c + REST_GAIN] as number;
  for (let lane = 0; lane < LANES; lane++) {
    const state = block + lane;
    const value = m[values + lane] as number;
    m[place + lane] = value;
    const wasMean = m[state + MEAN] as number;
    const wasSlope = m[state + SLOPE] as number;
    const from = value - (m[state + ORIGIN] as number) - wasMean;
    const error = from - wasSlope * step;
    m[state + MEAN] = wasMean + from * inverse;
    m[state + SLOPE] = wasSlope + error * slopeGain;
    m[state + REST] = (m[state + REST] as number) + error * (error * restGain);
  }
}

/** Joins each back with its front's suffix, and forecasts. */
function forecastBlock(m: Float64Array, c: number, block: number, suffixBlock: number): void {
  const frontShare = m[c + FRONT_SHARE] as number;
  const backShare = m[c + BACK_SHARE] as number;
  const slopesRest = m[c + SLOPES_REST] as number;
  const apart = m[c + APART] as number;
  const slopePull = m[c + SLOPE_PULL] as number;
  const meansRest = m[c + MEANS_REST] as number;
  const frontWeight = m[c + FRONT_WEIGHT] as number;
  const ahead = m[c + AHEAD] as number;
  const width = m[c + WIDTH] as number;
  const alpha = m[c + ALPHA] as number;
  const kept = m[c + KEPT] as number;
  for (let lane = 0; lane < LANES; lane++) {
    const state = block + lane;
    const suffix = suffixBlock + lane;
    const mean = m[state + MEAN] as number;
    const slope = m[state + SLOPE] as number;
    const frontSlope = m[suffix + (SLOPE - MEAN)] as number;
    const rise = mean - (m[suffix] as number);
    const bend = slope - frontSlope;
    const shared = frontSlope * frontShare + slope * backShare;
    const off = rise - shared * apart;
    const joined = shared + off * slopePull;
    const between = bend * (bend * slopesRest) + off * (off * meansRest);
    const sse = (m[state + REST] as number) + (m[suffix + (REST - MEAN)] as number) + between;
    const value = (m[state + ORIGIN] as number) + (mean - rise * frontWeight + joined * ahead);
    m[state + VALUE] = value;
    m[state + SMOOTHED] = alpha * value + kept * (m[state + SMOOTHED] as number);
    m[state + HALF_WIDTH] = Math.sqrt(sse * width);
    m[state + SLOPE_PER_SECOND] = joined;
  }
}

/** Sums the ring's rows backwards, and keeps the sum from each row on; then the back is empty. */
function turnGroup(memory: BatchMemory, first: number, end: number): void {
  for (let block = first; block < end; block++)
    for (let lane = 0; lane < LANES; lane++) turnSeries(memory, block, lane);
}

function turnSeries({ layout, doubles: m, integers }: BatchMemory, block: number, lane: number): void {
  const head = layout.header / 4;
  const state = layout.state / 8 + block * BLOCK_FIELDS + lane;
  const inRow = block * LANES + lane;
  const inSuffix = block * SUFFIX_FIELDS + lane;
  const start = layout.ring / 8 + inRow;
  const ringPitch = layout.ringPitch / 8;
  const suffixPitch = layout.suffixPitch / 8;
  let row = (integers[head + header.newestRow] as number) / 8 + inRow;
  let suffix = (integers[head + header.newestSuffix] as number) / 8 + inSuffix;
  let table = layout.turningTable / 8;
  const tableEnd = table + (integers[head + header.turningRows] as number) * TURN_FIELDS;
  const newest = m[row] as number;
  const origin = Number.isNaN(newest) ? (m[state + ORIGIN] as number) : newest;
  let mean = 0;
  let slope = 0;
  let rest = 0;
  m[state + ORIGIN] = origin;
  m[state + MEAN] = mean;
  m[state + SLOPE] = slope;
  m[state + REST] = rest;
  for (; table < tableEnd; table += TURN_FIELDS) {
    const off = (m[row] as number) - origin;
    // NaN marks a missing value: it counts as the origin.
    const from = (Number.isNaN(off) ? 0 : off) - mean;
    const error = from - slope * (m[table + STEP] as number);
    mean += from * (m[table + INVERSE] as number);
    slope += error * (m[table + SLOPE_GAIN] as number);
    rest += error * (error * (m[table + REST_GAIN] as number));
    m[suffix] = mean;
    m[suffix + (SLOPE - MEAN)] = slope;
    m[suffix + (REST - MEAN)] = rest;
    const wraps = row === start;
    row = wraps ? (integers[head + header.ringLast] as number) / 8 + inRow : row - ringPitch;
    suffix = wraps ? (integers[head + header.suffixLast] as number) / 8 + inSuffix : suffix - suffixPitch;
  }
}
