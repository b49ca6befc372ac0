/**
 * The series of a batch that are not like the others: with a value missing in the window, or without enough points yet.
 * The kernels mark their blocks; here the line is fitted to the points that are there. Both kernels
 * share this.
 */
import type { BatchClock } from "./batch-clock.ts";
import {
  type BatchMemory,
  BLOCK_FIELDS,
  HALF_WIDTH,
  LANES,
  PEAK,
  SAVED_FIELDS,
  SLOPE_PER_SECOND,
  SMOOTHED,
  VALUE,
} from "./batch-layout.ts";
import { coldHalfWidth } from "./cold-interval.ts";
import { emaStep } from "./ema.ts";
import type { SeriesOptions } from "./forecaster.ts";
import { studentT975 } from "./student-t.ts";

const maxMagnitude = 1e100;

export const stateEmpty = 0;
export const stateCold = 1;
const stateReady = 2;

type Point = [seconds: number, value: number];

/** The line through the points that are there, relative to the newest. */
interface OwnLine {
  points: number;
  mean: number;
  slope: number;
  rest: number;
  meanTime: number;
  sxx: number;
  /** Sum of dy² / dt over the increments. */
  increments: number;
}

export class BatchGaps {
  /** By series: `stateEmpty`, `stateCold` or `stateReady`. */
  readonly states: Uint8Array;
  /** By series: 1 while the next four hold; else the forecast is the kernel's, made at the newest tick. */
  readonly own: Uint8Array;
  readonly ownTick: Float64Array;
  readonly ownSeconds: Float64Array;
  readonly ownPoints: Float64Array;
  readonly ownDeviation: Float64Array;
  /** By series: values that were missing. */
  readonly missing: Float64Array;
  /** By series: the tick of its last gap; before any, far enough in the past. */
  readonly #lastGap: Float64Array;
  readonly #memory: BatchMemory;
  readonly #clock: BatchClock;
  readonly #options: Readonly<SeriesOptions>;

  constructor(memory: BatchMemory, clock: BatchClock, options: Readonly<SeriesOptions>) {
    const { series } = memory.layout;
    this.#memory = memory;
    this.#clock = clock;
    this.#options = options;
    this.states = new Uint8Array(series);
    this.own = new Uint8Array(series);
    this.ownTick = new Float64Array(series);
    this.ownSeconds = new Float64Array(series);
    this.ownPoints = new Float64Array(series);
    this.ownDeviation = new Float64Array(series);
    this.missing = new Float64Array(series);
    this.#lastGap = new Float64Array(series);
    this.reset();
  }

  /** Forgets everything but the counts. */
  reset(): void {
    const { layout, integers } = this.#memory;
    this.states.fill(stateEmpty);
    this.own.fill(0);
    this.#lastGap.fill(Number.NEGATIVE_INFINITY);
    integers.fill(1, layout.flags / 4, layout.flags / 4 + layout.blocks);
  }

  /** Puts right the `mark`-th marked block. */
  settle(mark: number): void {
    const { layout, doubles, integers } = this.#memory;
    const block = integers[layout.marks / 4 + mark] as number;
    const lanes = Math.min(LANES, layout.series - block * LANES);
    let whole = true;
    for (let lane = 0; lane < lanes; lane++) {
      const series = block * LANES + lane;
      const value = doubles[layout.input / 8 + series] as number;
      const state = layout.state / 8 + block * BLOCK_FIELDS + lane;
      const saved = layout.saved / 8 + mark * SAVED_FIELDS + lane;
      if (Math.abs(value) <= maxMagnitude) this.#present(series, state, saved);
      else this.#absent(series, state, saved);
      whole &&= this.own[series] === 0 && this.states[series] === stateReady;
    }
    integers[layout.flags / 4 + block] = whole ? 0 : 1;
  }

  /** The forecast stays, and the ring gets a gap. */
  #absent(series: number, state: number, saved: number): void {
    const { layout, doubles } = this.#memory;
    const clock = this.#clock;
    for (const field of [VALUE, SMOOTHED, HALF_WIDTH, SLOPE_PER_SECOND])
      doubles[state + field] = doubles[saved + field - VALUE] as number;
    if (this.own[series] === 0 && this.states[series] !== stateEmpty) {
      const deviation = (doubles[state + HALF_WIDTH] as number) * clock.lastDeviationPerWidth;
      this.#keep(series, clock.ticks - 1, clock.lastSeconds, clock.lastPoints, deviation);
    }
    this.own[series] = 1;
    this.missing[series] = (this.missing[series] as number) + 1;
    this.#lastGap[series] = clock.ticks;
    doubles[(layout.ring + clock.row * layout.ringPitch) / 8 + series] = Number.NaN;
  }

  #present(series: number, state: number, saved: number): void {
    const { doubles } = this.#memory;
    const ready = this.states[series] === stateReady;
    const sinceGap = this.#clock.ticks - (this.#lastGap[series] as number);
    // The gap has just left: with a peak again, sums that are no numbers are made afresh at the next tick.
    if (sinceGap === this.#options.windowPoints) doubles[state + PEAK] = 0;
    const whole = sinceGap > this.#options.windowPoints;
    if (whole && this.#clock.points >= this.#options.minPoints) {
      if (!ready) doubles[state + SMOOTHED] = doubles[state + VALUE] as number;
      this.states[series] = stateReady;
      this.own[series] = 0;
      return;
    }
    const line = this.#fit(series);
    if (line.points < this.#options.minPoints) this.#writeCold(series, state, line);
    else this.#writeLine(series, state, line, ready ? (doubles[saved + SMOOTHED - VALUE] as number) : null);
  }

  #fit(series: number): OwnLine {
    const { layout, doubles } = this.#memory;
    const { ticks, times, points, row: newestRow } = this.#clock;
    const window = layout.windowPoints;
    const column = layout.ring / 8 + series;
    const origin = doubles[column + (newestRow * layout.ringPitch) / 8] as number;
    const there: Point[] = [];
    for (let tick = ticks + 1 - points; tick <= ticks; tick++) {
      const row = tick % window;
      const value = (doubles[column + (row * layout.ringPitch) / 8] as number) - origin;
      if (!Number.isNaN(value)) there.push([times[row] as number, value]);
    }
    return fitPoints(there, times[newestRow] as number);
  }

  #writeCold(series: number, state: number, line: OwnLine): void {
    const { doubles } = this.#memory;
    const { coldHalfWidth: widest, horizonSeconds } = this.#options;
    const value = this.#newest(series);
    const halfWidth = coldHalfWidth(line.points, line.increments, widest, horizonSeconds);
    doubles[state + VALUE] = value;
    doubles[state + SMOOTHED] = value;
    doubles[state + HALF_WIDTH] = halfWidth;
    doubles[state + SLOPE_PER_SECOND] = 0;
    this.states[series] = stateCold;
    this.#keepNow(series, line.points, halfWidth);
  }

  #writeLine(series: number, state: number, line: OwnLine, smoothed: number | null): void {
    const { doubles } = this.#memory;
    const { horizonSeconds, emaAlpha } = this.#options;
    const ahead = horizonSeconds - line.meanTime;
    const variance = line.rest / (line.points - 2);
    const leverage = 1 + 1 / line.points + (line.sxx > 0 ? (ahead * ahead) / line.sxx : 0);
    const value = this.#newest(series) + (line.mean + line.slope * ahead);
    doubles[state + VALUE] = value;
    doubles[state + SMOOTHED] = smoothed === null ? value : emaStep(smoothed, value, emaAlpha);
    doubles[state + HALF_WIDTH] = studentT975(line.points - 2) * Math.sqrt(variance * leverage);
    doubles[state + SLOPE_PER_SECOND] = line.slope;
    this.states[series] = stateReady;
    this.#keepNow(series, line.points, Math.sqrt(variance));
  }

  #newest(series: number): number {
    const { layout, doubles } = this.#memory;
    return doubles[layout.input / 8 + series] as number;
  }

  #keepNow(series: number, points: number, deviation: number): void {
    const { ticks, times, row } = this.#clock;
    this.#keep(series, ticks, times[row] as number, points, deviation);
  }

  /** Keeps what the series' own forecast says of itself. */
  #keep(series: number, tick: number, seconds: number, points: number, deviation: number): void {
    this.own[series] = 1;
    this.ownTick[series] = tick;
    this.ownSeconds[series] = seconds;
    this.ownPoints[series] = points;
    this.ownDeviation[series] = deviation;
  }
}

/** Least squares in three passes, so that nothing cancels: the means, the line, what it leaves. Times from `origin`. */
function fitPoints(points: readonly Point[], origin: number): OwnLine {
  const line = { points: points.length, mean: 0, slope: 0, rest: 0, meanTime: 0, sxx: 0, increments: 0 };
  points.forEach(([seconds, value], i) => {
    line.meanTime += (seconds - origin) / points.length;
    line.mean += value / points.length;
    const before = points[i - 1];
    if (before) line.increments += (value - before[1]) ** 2 / (seconds - before[0]);
  });
  let sxy = 0;
  for (const [seconds, value] of points) {
    const fromMean = seconds - origin - line.meanTime;
    line.sxx += fromMean * fromMean;
    sxy += fromMean * (value - line.mean);
  }
  // Times as far apart as 1e50 and 1e-6 seconds fall together.
  line.slope = line.sxx > 0 ? sxy / line.sxx : 0;
  for (const [seconds, value] of points)
    line.rest += (value - line.mean - line.slope * (seconds - origin - line.meanTime)) ** 2;
  return line;
}
