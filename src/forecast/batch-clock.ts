/**
 * What the series of a batch share: the times. Everything that depends on them alone is worked out here, once a tick,
 * so that a series needs no division.
 *
 * The window is a two-stack queue: a front, whose suffixes (the sums from each row to the front's newest) are known, and
 * a back, which only grows. When the front is used up, every `windowPoints` ticks, the back turns into the front.
 * Nothing is ever taken out of a sum. The series are in groups that turn at different ticks.
 *
 * A sum over points (t, y) is their mean, slope and SSE. To add a point that is `step` seconds from the mean of n - 1:
 *
 *     e = y - mean - slope step     mean += (y - mean) / n     slope += e w step / Sxx     SSE += e² w Sxx(before) / Sxx
 *
 * with w = (n - 1) / n and Sxx = Sxx(before) + w step² (recursive least squares). Two sums, front F and back B, join as
 *
 *     shared = (Sf slopeF + Sb slopeB) / (Sf + Sb)     off = rise - shared apart     slope = shared + off w apart / Sxx
 *     SSE = SSEf + SSEb + (slopeB - slopeF)² Sf Sb / (Sf + Sb) + off² w (Sf + Sb) / Sxx
 *
 * with rise and apart the distances between their means, w = nF nB / n, Sxx = Sf + Sb + w apart². No term is negative:
 * nothing cancels.
 */
import {
  AHEAD,
  ALPHA,
  APART,
  BACK_SHARE,
  type BatchMemory,
  COEFFICIENT_FIELDS,
  FRONT_SHARE,
  FRONT_WEIGHT,
  GROUP_FIELDS,
  header,
  INVERSE,
  KEPT,
  MEANS_REST,
  REST_GAIN,
  SLOPE_GAIN,
  SLOPE_PULL,
  SLOPES_REST,
  STEP,
  SUFFIX_ROW,
  TURN_FIELDS,
  TURNS,
  WIDTH,
} from "./batch-layout.ts";
import type { SeriesOptions } from "./forecaster.ts";
import { studentT975 } from "./student-t.ts";

/** Points of the back, mean of their times from the origin, their Sxx, and the origin. */
const BACK_POINTS = 0;
const BACK_MEAN = 1;
const BACK_SXX = 2;
const ORIGIN_SECONDS = 3;
const GROUP_STATE = 4;

export class BatchClock {
  /** Ticks before this one, and points in a full series' window with it. */
  ticks = 0;
  points = 0;
  /** Times by ring row. */
  readonly times: Float64Array;
  /** By group: a series' residual deviation is its half-width times this; and the same at the tick before. */
  deviationPerWidth: Float64Array;
  lastDeviationPerWidth: Float64Array;
  /** Of the tick before: its time and the points in a full series' window. */
  lastSeconds = 0;
  lastPoints = 0;
  readonly #memory: BatchMemory;
  readonly #options: Readonly<SeriesOptions>;
  readonly #groups: Float64Array;
  /** By group and ring row: mean and Sxx of the times from that row to the front's newest. */
  readonly #frontMean: Float64Array;
  readonly #frontSxx: Float64Array;

  constructor(memory: BatchMemory, options: Readonly<SeriesOptions>) {
    const { groups, windowPoints } = memory.layout;
    this.#memory = memory;
    this.#options = options;
    this.times = new Float64Array(windowPoints);
    this.deviationPerWidth = new Float64Array(groups);
    this.lastDeviationPerWidth = new Float64Array(groups);
    this.#groups = new Float64Array(groups * GROUP_STATE);
    this.#frontMean = new Float64Array(groups * windowPoints);
    this.#frontSxx = new Float64Array(groups * windowPoints);
  }

  /** Forgets every tick. */
  reset(): void {
    this.ticks = 0;
    this.points = 0;
    this.#groups.fill(0);
  }

  /** The ring row of this tick. */
  get row(): number {
    return this.ticks % this.#memory.layout.windowPoints;
  }

  /** Works out the tick at `tSeconds` and writes it for the kernel; `done` ends it. */
  begin(tSeconds: number): void {
    [this.deviationPerWidth, this.lastDeviationPerWidth] = [
      this.lastDeviationPerWidth,
      this.deviationPerWidth,
    ];
    const { layout, integers } = this.#memory;
    const window = layout.windowPoints;
    const head = layout.header / 4;
    const newest = (this.ticks + window - 1) % window;
    this.points = Math.min(this.ticks + 1, window);
    integers[head + header.newRow] = layout.ring + this.row * layout.ringPitch;
    integers[head + header.newestRow] = layout.ring + newest * layout.ringPitch;
    integers[head + header.newestSuffix] = layout.suffix + newest * layout.suffixPitch;
    integers[head + header.turningRows] = Math.min(this.ticks, window - 1);
    for (let group = 0; group < layout.groups; group++) {
      const turns = this.#turns(group);
      integers[layout.groupTable / 4 + group * GROUP_FIELDS + TURNS] = turns ? 1 : 0;
      if (turns) this.#turn(group, newest);
    }
    this.times[this.row] = tSeconds;
    for (let group = 0; group < layout.groups; group++) this.#step(group, tSeconds);
  }

  done(): void {
    this.lastSeconds = this.times[this.row] as number;
    this.lastPoints = this.points;
    this.ticks += 1;
  }

  /** Every group has a tick of its own to turn at; after the first point all do, to have an origin that is near. */
  #turns(group: number): boolean {
    const { groups, windowPoints } = this.#memory.layout;
    if (this.ticks <= 1) return this.ticks === 1;
    const phase = 1 + Math.floor((group * windowPoints) / groups);
    return this.ticks % windowPoints === phase % windowPoints;
  }

  /** The rows before this tick become the front: adds them from the newest backwards, in the kernel's own steps. */
  #turn(group: number, newest: number): void {
    const { layout, doubles } = this.#memory;
    const window = layout.windowPoints;
    const at = group * GROUP_STATE;
    const origin = this.times[newest] as number;
    let table = layout.turningTable / 8;
    let mean = 0;
    let sxx = 0;
    for (let points = 1, row = newest; points <= Math.min(this.ticks, window - 1); points++) {
      const step = (this.times[row] as number) - origin - mean;
      mean += step / points;
      sxx = writeStep(doubles, table, step, points, sxx);
      this.#frontMean[group * window + row] = mean;
      this.#frontSxx[group * window + row] = sxx;
      table += TURN_FIELDS;
      row = row === 0 ? window - 1 : row - 1;
    }
    this.#groups.fill(0, at, at + GROUP_STATE);
    this.#groups[at + ORIGIN_SECONDS] = origin;
  }

  #step(group: number, tSeconds: number): void {
    const { layout, doubles, integers } = this.#memory;
    const window = layout.windowPoints;
    const state = this.#groups;
    const at = group * GROUP_STATE;
    const coefficients = layout.coefficients / 8 + group * COEFFICIENT_FIELDS;
    if (this.ticks === 0) state[at + ORIGIN_SECONDS] = tSeconds;
    const fromOrigin = tSeconds - (state[at + ORIGIN_SECONDS] as number);
    const backPoints = (state[at + BACK_POINTS] as number) + 1;
    const step = fromOrigin - (state[at + BACK_MEAN] as number);
    const backSxx = writeStep(doubles, coefficients, step, backPoints, state[at + BACK_SXX] as number);
    const backMean = (state[at + BACK_MEAN] as number) + step / backPoints;
    state[at + BACK_POINTS] = backPoints;
    state[at + BACK_MEAN] = backMean;
    state[at + BACK_SXX] = backSxx;
    const frontPoints = this.points - backPoints;
    const oldest = this.ticks < window ? 0 : (this.ticks + 1) % window;
    const row = frontPoints === 0 ? window : oldest;
    integers[layout.groupTable / 4 + group * GROUP_FIELDS + SUFFIX_ROW] =
      layout.suffix + row * layout.suffixPitch;
    const frontMean = frontPoints === 0 ? backMean : (this.#frontMean[group * window + oldest] as number);
    const frontSxx = frontPoints === 0 ? 0 : (this.#frontSxx[group * window + oldest] as number);
    this.#join(group, frontPoints, frontMean, frontSxx, fromOrigin);
  }

  #join(group: number, frontPoints: number, frontMean: number, frontSxx: number, fromOrigin: number): void {
    const { layout, doubles } = this.#memory;
    const { horizonSeconds, emaAlpha } = this.#options;
    const c = layout.coefficients / 8 + group * COEFFICIENT_FIELDS;
    const at = group * GROUP_STATE;
    const points = this.points;
    const backMean = this.#groups[at + BACK_MEAN] as number;
    const backSxx = this.#groups[at + BACK_SXX] as number;
    const both = frontSxx + backSxx;
    const backShare = both > 0 ? backSxx / both : 0;
    const apart = backMean - frontMean;
    const frontWeight = frontPoints / points;
    const weight = frontWeight * (this.#groups[at + BACK_POINTS] as number);
    const sxx = both + weight * apart * apart;
    const ahead = fromOrigin - (backMean - frontWeight * apart) + horizonSeconds;
    const freedom = points - 2;
    const quantile = studentT975(freedom);
    const leverage = 1 + 1 / points + (sxx > 0 ? (ahead * ahead) / sxx : 0);
    twice(doubles, c + FRONT_SHARE, both > 0 ? frontSxx / both : 0);
    twice(doubles, c + BACK_SHARE, backShare);
    twice(doubles, c + SLOPES_REST, frontSxx * backShare);
    twice(doubles, c + APART, apart);
    twice(doubles, c + SLOPE_PULL, sxx > 0 ? (weight * apart) / sxx : 0);
    twice(doubles, c + MEANS_REST, sxx > 0 ? weight * (both / sxx) : 0);
    twice(doubles, c + FRONT_WEIGHT, frontWeight);
    twice(doubles, c + AHEAD, ahead);
    twice(doubles, c + WIDTH, freedom > 0 ? ((quantile * quantile) / freedom) * leverage : 0);
    twice(doubles, c + ALPHA, emaAlpha);
    twice(doubles, c + KEPT, 1 - emaAlpha);
    this.deviationPerWidth[group] = 1 / (quantile * Math.sqrt(leverage));
  }
}

/** Writes what adds a point `step` seconds from the mean of the `points` - 1 before it; answers the new Sxx. */
function writeStep(m: Float64Array, at: number, step: number, points: number, sxx: number): number {
  const inverse = 1 / points;
  const weighted = (points - 1) * inverse * step;
  const grown = sxx + weighted * step;
  // Times as far apart as 1e50 and 1e-6 seconds fall together.
  const reciprocal = grown > 0 ? 1 / grown : 0;
  twice(m, at + STEP, step);
  twice(m, at + INVERSE, inverse);
  twice(m, at + SLOPE_GAIN, weighted * reciprocal);
  twice(m, at + REST_GAIN, (points - 1) * inverse * (sxx * reciprocal));
  return grown;
}

function twice(m: Float64Array, at: number, value: number): void {
  m[at] = value;
  m[at + 1] = value;
}
