/**
 * Sums a window afresh, about another line. What a tick adds and takes away leaves rounding errors of the size of the
 * largest squares that the sums have held; so a series is summed afresh when its squares have been many times the
 * residuals that are left (a spike left the window, or the reference fits it no longer), and now and then in any case,
 * as its block moves to another clock. `assembly/batch-sum.ts` does the same operations in the same order: change both
 * or neither.
 */
import {
  BASE,
  type BatchMemory,
  BLOCK_FIELDS,
  FROM_MEAN,
  HALF_WIDTH,
  header,
  INVERSE,
  INVERSE_SXX,
  LANES,
  MEAN_TIME,
  MOMENT,
  PEAK,
  ROW_TIMES,
  SHIFT,
  SLOPE,
  SLOPE_PER_SECOND,
  SQUARES,
  SUM,
  TARGET_TIME,
  VALUE,
} from "./batch-layout.ts";

/** How many times the sum of squared residuals the squares may have been before the sums have lost too much. */
const mostLoss = 32;
/** A reference from sums that have lost much is a poor one; the next is as good as the values allow. */
const mostRounds = 4;
/** Beyond these a reference would let squares overflow, or has: steep lines reach far over a gap in the times. */
const maxReference = 1e110;
const maxSquares = 1e300;

/** Whether sums have lost too many digits, or are no numbers. A peak of NaN marks a series that is not summed. */
export function hasLost(rest: number, peak: number): boolean {
  return !(rest * mostLoss >= peak) && !Number.isNaN(peak);
}

/** Sums a block afresh: every series of it when it moves to another clock, or else those that have to be. */
export function sumBlock(memory: BatchMemory, block: number, place: number, from: number, to: number): void {
  const { layout, doubles: m } = memory;
  for (let lane = 0; lane < LANES; lane++) {
    const state = layout.state / 8 + block * BLOCK_FIELDS + lane;
    const isLost = (): boolean => hasLost(m[state + HALF_WIDTH] as number, m[state + PEAK] as number);
    let clock = from;
    for (let round = 0; round < mostRounds && (clock !== to || isLost()); round++) {
      refer(m, state, place + lane, clock, to);
      sumSeries(memory, state, block * LANES + lane, to);
      clock = to;
    }
  }
}

/** The new reference: the line fitted so far, or, where that is no use, the newest value. */
function refer(m: Float64Array, state: number, place: number, from: number, to: number): void {
  const sum = m[state + SUM] as number;
  const slope = m[state + SLOPE] as number;
  const meanTime = m[from + MEAN_TIME] as number;
  const mean = sum * (m[from + INVERSE] as number);
  const across = (m[state + MOMENT] as number) - sum * meanTime;
  const tilt = across * (m[from + INVERSE_SXX] as number);
  const shift = from === to ? 0 : (m[from + SHIFT] as number);
  const rise = slope * shift + (mean + tilt * (shift - meanTime));
  const base = (m[state + BASE] as number) + rise;
  const steep = slope + tilt;
  const useful =
    Math.abs(m[state + SQUARES] as number) <= maxSquares &&
    Math.abs(base) <= maxReference &&
    Math.abs(steep) <= maxReference;
  m[state + BASE] = useful ? base : (m[place] as number);
  m[state + SLOPE] = useful ? steep : 0;
}

/** Adds up a column of the ring about its reference, and fits. */
function sumSeries(
  { layout, doubles: m, integers }: BatchMemory,
  state: number,
  column: number,
  c: number,
): void {
  const base = m[state + BASE] as number;
  const slope = m[state + SLOPE] as number;
  const rows = integers[layout.header / 4 + header.rows] as number;
  let sum = 0;
  let moment = 0;
  let squares = 0;
  let at = layout.ring / 8 + column;
  for (let row = 0; row < rows; row++) {
    const time = m[c + ROW_TIMES + row * 2] as number;
    const residual = (m[at] as number) - base - slope * time;
    sum += residual;
    moment += time * residual;
    squares += residual * residual;
    at += layout.ringPitch / 8;
  }
  m[state + SUM] = sum;
  m[state + MOMENT] = moment;
  m[state + SQUARES] = squares;
  m[state + PEAK] = squares;
  const mean = sum * (m[c + INVERSE] as number);
  const across = moment - sum * (m[c + MEAN_TIME] as number);
  const tilt = across * (m[c + INVERSE_SXX] as number);
  const ahead = mean + tilt * (m[c + FROM_MEAN] as number);
  m[state + VALUE] = base + (slope * (m[c + TARGET_TIME] as number) + ahead);
  m[state + HALF_WIDTH] = squares - (mean * sum + tilt * across);
  m[state + SLOPE_PER_SECOND] = slope + tilt;
}
