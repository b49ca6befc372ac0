/**
 * What the series of a batch share: the times. Everything that depends on them alone is worked out here, once a tick,
 * so that a series needs no division and keeps three sums only.
 *
 * Values are taken relative to a reference line of their series, as residuals r; times as u, from the origin of a clock.
 * With S = sum r, F = sum u r, Q = sum r² over the n points of the window, and u' and Sxx their mean time and its spread:
 *
 *     tilt = (F - u' S) / Sxx     slope = reference slope + tilt     SSE = Q - S² / n - tilt (F - u' S)
 *
 * and the line at u is the reference's value there + S / n + tilt (u - u'). A tick adds the newest residual to the sums
 * and takes away the oldest. That leaves rounding errors behind, and u grows with time. So the blocks move, a few at each
 * tick, to another clock, whose origin is newer: their windows are summed afresh then, about the line fitted so far.
 * Once all have moved the next clock begins. All move at once when a gap in the times has left the window: its origin is
 * far then, or the sums have known times that were much farther apart.
 */
import {
  ALPHA,
  type BatchMemory,
  CLOCKS,
  END_BLOCK,
  FIRST_BLOCK,
  FROM,
  FROM_MEAN,
  header,
  INVERSE,
  INVERSE_SXX,
  KEPT,
  MEAN_TIME,
  NEW_TIME,
  OLD_TIME,
  RANGE_FIELDS,
  ROW_TIMES,
  SHIFT,
  TARGET_TIME,
  TO,
  WIDTH,
} from "./batch-layout.ts";
import { ClockMoments } from "./clock-moments.ts";
import type { SeriesOptions } from "./forecaster.ts";
import { studentT975 } from "./student-t.ts";

/** Windows that go by until every block has moved. */
const windowsToMove = 2;
/** How many times the spread of the times now their largest may have been: sums keep the rounding errors of that. */
const mostLoss = 32;
/** How far the mean time may be from the origin, squared and in variances of the times. */
const farSquared = 256;

export class BatchClock {
  /** Ticks before this one, and points in a full series' window with it. */
  ticks = 0;
  points = 0;
  /** Times by ring row. */
  readonly times: Float64Array;
  /** A series' residual deviation is its half-width times this; and the same at the tick before. */
  deviationPerWidth = 0;
  lastDeviationPerWidth = 0;
  /** Of the tick before: its time and the points in a full series' window. */
  lastSeconds = 0;
  lastPoints = 0;
  readonly #memory: BatchMemory;
  readonly #options: Readonly<SeriesOptions>;
  readonly #moments: ClockMoments;
  /** By clock. */
  readonly #origins = new Float64Array(CLOCKS);
  /** The clock that blocks move to, and the one they come from. */
  #newer = 0;
  #older = 0;
  /** Ticks since the newer began, and blocks that are on it. */
  #age = 0;
  #moved = 0;
  /** The largest spread of the times since all blocks moved at once. */
  #peak = 0;
  /** Of this tick: ranges of blocks, by clock whether a block is on it or moves to it, and what the clocks have in common. */
  #ranges = 0;
  readonly #inUse = new Uint8Array(CLOCKS);
  #fromMean = 0;
  #inverseSxx = 0;
  #width = 0;

  constructor(memory: BatchMemory, options: Readonly<SeriesOptions>) {
    this.#memory = memory;
    this.#options = options;
    this.times = new Float64Array(memory.layout.windowPoints);
    this.#moments = new ClockMoments(this.times);
  }

  /** Forgets every tick. */
  reset(): void {
    this.ticks = 0;
    this.points = 0;
  }

  /** The ring row of this tick. */
  get row(): number {
    return this.ticks % this.times.length;
  }

  /** Works out the tick at `tSeconds` and writes it for the kernel; `done` ends it. */
  begin(tSeconds: number): void {
    const { layout, integers } = this.#memory;
    const head = layout.header / 4;
    const window = this.times.length;
    const row = this.row;
    const full = this.ticks >= window;
    const leaving = this.times[row] as number;
    this.points = Math.min(this.ticks + 1, window);
    integers[head + header.newRow] = layout.ring + row * layout.ringPitch;
    integers[head + header.full] = full ? 1 : 0;
    integers[head + header.rows] = this.points;
    this.times[row] = tSeconds;
    this.#moments.step(row, this.points, full ? leaving : null);
    if (this.ticks === 0) this.#start(tSeconds);
    this.#move(tSeconds);
    this.#measure();
    // The third clock is in use only when blocks leave both others at once.
    for (let clock = 0; clock < CLOCKS; clock++)
      if (this.#inUse[clock] === 1) this.#write(clock, row, tSeconds, full ? leaving : null);
  }

  done(): void {
    this.lastSeconds = this.times[this.row] as number;
    this.lastPoints = this.points;
    this.ticks += 1;
  }

  /** The first tick: one clock for all. */
  #start(tSeconds: number): void {
    const { layout, doubles } = this.#memory;
    this.#newer = 0;
    this.#older = 0;
    this.#age = 0;
    this.#moved = layout.blocks;
    this.#peak = 0;
    this.#setOrigin(0, tSeconds);
    for (let clock = 0; clock < CLOCKS; clock++) {
      twice(doubles, this.#addressOf(clock) / 8 + ALPHA, this.#options.emaAlpha);
      twice(doubles, this.#addressOf(clock) / 8 + KEPT, 1 - this.#options.emaAlpha);
    }
  }

  /** Says which blocks are on which clock in this tick, and which of them move. */
  #move(tSeconds: number): void {
    const { layout, integers } = this.#memory;
    const { blocks } = layout;
    const ticksToMove = windowsToMove * this.times.length;
    const newer = this.#newer;
    const older = this.#older;
    const moved = this.#moved;
    const { sxx } = this.#moments;
    this.#peak = Math.max(this.#peak, sxx);
    const lost = sxx * mostLoss < this.#peak;
    const far = lost || this.#isFar(newer, tSeconds) || (moved < blocks && this.#isFar(older, tSeconds));
    if (far) this.#peak = sxx;
    // Blocks stay on a clock for twice as long as a move takes: in the middle its origin is near.
    if (far) this.#begin(tSeconds);
    else if (this.#age >= ticksToMove) this.#begin(tSeconds + windowsToMove * this.#run(tSeconds));
    this.#age += 1;
    const reached = Math.floor((this.#age * blocks) / ticksToMove);
    this.#inUse.fill(0);
    this.#inUse[this.#newer] = 1;
    this.#ranges = 0;
    if (far) {
      this.#moved = blocks;
      this.#range(0, moved, newer, this.#newer);
      this.#range(moved, blocks, older, this.#newer);
    } else {
      const from = this.#newer === newer ? moved : 0;
      this.#moved = Math.max(from, reached);
      this.#range(0, from, this.#newer, this.#newer);
      this.#range(from, this.#moved, this.#older, this.#newer);
      this.#range(this.#moved, blocks, this.#older, this.#older);
    }
    integers[layout.header / 4 + header.ranges] = this.#ranges;
  }

  /** Begins another clock. */
  #begin(origin: number): void {
    const free = [0, 1, 2].find((clock) => clock !== this.#newer && clock !== this.#older) as number;
    this.#older = this.#newer;
    this.#newer = free;
    this.#age = 0;
    this.#setOrigin(free, origin);
  }

  /** Seconds from the oldest time in the window to the newest. */
  #run(tSeconds: number): number {
    const oldest = this.points < this.times.length ? 0 : (this.row + 1) % this.points;
    return tSeconds - (this.times[oldest] as number);
  }

  #range(first: number, end: number, from: number, to: number): void {
    if (first >= end) return;
    const { layout, integers } = this.#memory;
    const at = layout.rangeTable / 4 + this.#ranges * RANGE_FIELDS;
    this.#ranges += 1;
    this.#inUse[from] = 1;
    integers[at + FIRST_BLOCK] = first;
    integers[at + END_BLOCK] = end;
    integers[at + FROM] = this.#addressOf(from);
    integers[at + TO] = this.#addressOf(to);
  }

  #isFar(clock: number, tSeconds: number): boolean {
    const { meanAge, sxx } = this.#moments;
    const meanTime = tSeconds - (this.#origins[clock] as number) - meanAge;
    return sxx > 0 && meanTime * meanTime * this.points > farSquared * sxx;
  }

  #addressOf(clock: number): number {
    return this.#memory.layout.clocks + clock * this.#memory.layout.clockBytes;
  }

  #setOrigin(clock: number, origin: number): void {
    const at = this.#addressOf(clock) / 8 + ROW_TIMES;
    this.#origins[clock] = origin;
    for (let row = 0; row < this.points; row++)
      twice(this.#memory.doubles, at + row * 2, (this.times[row] as number) - origin);
  }

  /** What the clocks have in common. */
  #measure(): void {
    const { meanAge, sxx } = this.#moments;
    const freedom = this.points - 2;
    const quantile = studentT975(freedom);
    this.#fromMean = meanAge + this.#options.horizonSeconds;
    // Times as far apart as 1e50 and 1e-6 seconds fall together.
    this.#inverseSxx = sxx > 0 ? 1 / sxx : 0;
    const leverage = 1 + 1 / this.points + this.#fromMean * this.#fromMean * this.#inverseSxx;
    this.#width = freedom > 0 ? ((quantile * quantile) / freedom) * leverage : 0;
    this.lastDeviationPerWidth = this.deviationPerWidth;
    this.deviationPerWidth = 1 / (quantile * Math.sqrt(leverage));
  }

  #write(clock: number, row: number, tSeconds: number, leaving: number | null): void {
    const { doubles } = this.#memory;
    const c = this.#addressOf(clock) / 8;
    const origin = this.#origins[clock] as number;
    const newTime = tSeconds - origin;
    twice(doubles, c + NEW_TIME, newTime);
    twice(doubles, c + OLD_TIME, leaving === null ? 0 : leaving - origin);
    twice(doubles, c + INVERSE, 1 / this.points);
    twice(doubles, c + MEAN_TIME, newTime - this.#moments.meanAge);
    twice(doubles, c + INVERSE_SXX, this.#inverseSxx);
    twice(doubles, c + FROM_MEAN, this.#fromMean);
    twice(doubles, c + TARGET_TIME, newTime + this.#options.horizonSeconds);
    twice(doubles, c + WIDTH, this.#width);
    twice(doubles, c + SHIFT, (this.#origins[this.#newer] as number) - origin);
    twice(doubles, c + ROW_TIMES + row * 2, newTime);
  }
}

function twice(m: Float64Array, at: number, value: number): void {
  m[at] = value;
  m[at + 1] = value;
}
