/** How good forecasts were, from the errors of many. */

/** The interval that the Winkler score and the coverage are of: 95 %. */
const alpha = 0.05;

/** Errors in the value's unit (percentage points of memory), coverage 0..1. All but `n` are NaN when `n` is 0. */
export interface MethodScore {
  /** Mean absolute error. */
  readonly mae: number;
  readonly rmse: number;
  /** 95th percentile of the absolute error, between order statistics by linear interpolation. */
  readonly p95: number;
  /** Share of values within the interval, its ends counted in. */
  readonly coverage: number;
  /** Mean width of the interval. */
  readonly width: number;
  /**
   * Mean interval score: the width, and 2/α times the distance outside for a value outside, α = 0.05. Less is better
   * (Gneiting and Raftery, Strictly Proper Scoring Rules, 2007, section 6.2).
   */
  readonly winkler: number;
  /** Forecasts scored. */
  readonly n: number;
}

const firstCapacity = 1024;

/** Sums of one method's errors. Keeps each absolute error for the percentile: 8 bytes a forecast. */
export class Tally {
  #absolute = new Float64Array(firstCapacity);
  #n = 0;
  #sumAbsolute = 0;
  #sumSquared = 0;
  #within = 0;
  #sumWidth = 0;
  #sumOutside = 0;

  add(value: number, lower: number, upper: number, actual: number): void {
    const error = Math.abs(actual - value);
    this.#reserve(1);
    this.#absolute[this.#n++] = error;
    this.#sumAbsolute += error;
    this.#sumSquared += error * error;
    this.#sumWidth += upper - lower;
    if (actual < lower) this.#sumOutside += lower - actual;
    else if (actual > upper) this.#sumOutside += actual - upper;
    else this.#within++;
  }

  /** Takes in all that another has counted. */
  absorb(other: Tally): void {
    this.#reserve(other.#n);
    this.#absolute.set(other.#absolute.subarray(0, other.#n), this.#n);
    this.#n += other.#n;
    this.#sumAbsolute += other.#sumAbsolute;
    this.#sumSquared += other.#sumSquared;
    this.#within += other.#within;
    this.#sumWidth += other.#sumWidth;
    this.#sumOutside += other.#sumOutside;
  }

  /** Values that lay within their interval so far. */
  get within(): number {
    return this.#within;
  }

  score(): MethodScore {
    const n = this.#n;
    const width = this.#sumWidth / n;
    return {
      mae: this.#sumAbsolute / n,
      rmse: Math.sqrt(this.#sumSquared / n),
      p95: quantile(this.#absolute.subarray(0, n).sort(), 0.95),
      coverage: this.#within / n,
      width,
      winkler: width + ((2 / alpha) * this.#sumOutside) / n,
      n,
    };
  }

  #reserve(more: number): void {
    if (this.#n + more <= this.#absolute.length) return;
    const larger = new Float64Array(Math.max(this.#n + more, this.#absolute.length * 2));
    larger.set(this.#absolute.subarray(0, this.#n));
    this.#absolute = larger;
  }
}

/** The quantile of sorted numbers, between neighbours by linear interpolation; NaN of none. */
export function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
