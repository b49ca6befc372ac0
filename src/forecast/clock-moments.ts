/** Mean and spread of the times in a window, kept as it slides, and worked out afresh before that has lost digits. */

/** How many times the spread now the largest since may have been. */
const mostLoss = 256;

export class ClockMoments {
  /** Seconds from the mean time to the newest. */
  meanAge = 0;
  /** Sum of the squared distances of the times from their mean. */
  sxx = 0;
  readonly #times: Float64Array;
  #newestSeconds = 0;
  #peak = 0;

  /** Of the window in `times`, a ring. */
  constructor(times: Float64Array) {
    this.#times = times;
  }

  /** The time at `row` is new, one of `points`; `leaving` went, or none while the window fills. */
  step(row: number, points: number, leaving: number | null): void {
    const tSeconds = this.#times[row] as number;
    const before = this.meanAge + (tSeconds - this.#newestSeconds);
    this.#newestSeconds = tSeconds;
    if (leaving === null || row === 0) {
      this.#refresh(tSeconds, points);
      return;
    }
    // `before` and `meanAge` are ages, from the newest time, of the mean before and after.
    const age = tSeconds - leaving;
    this.meanAge = before - age / points;
    this.sxx += age * (this.meanAge + before - age);
    this.#peak = Math.max(this.#peak, this.sxx);
    if (!(this.sxx * mostLoss >= this.#peak)) this.#refresh(tSeconds, points);
  }

  #refresh(tSeconds: number, points: number): void {
    let sum = 0;
    for (let row = 0; row < points; row++) sum += tSeconds - (this.#times[row] as number);
    const meanAge = sum / points;
    let sxx = 0;
    for (let row = 0; row < points; row++) {
      const fromMean = tSeconds - (this.#times[row] as number) - meanAge;
      sxx += fromMean * fromMean;
    }
    this.meanAge = meanAge;
    this.sxx = sxx;
    this.#peak = sxx;
  }
}
