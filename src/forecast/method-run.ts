import type { Tally } from "./score-tally.ts";
import { noTarget } from "./score-targets.ts";
import type { MethodFactory, ScoredMethod } from "./scored-methods.ts";

/** Points between two looks at the clock. */
const chunkPoints = 1 << 16;

/** A method's way through one series after the other, with its forecasts of the newest. */
export class MethodRun {
  readonly #method: MethodFactory;
  readonly #value: Float64Array;
  readonly #lower: Float64Array;
  readonly #upper: Float64Array;
  /** Time of all pushes and forecasts so far. */
  elapsedNs = 0;

  /** Holds the forecasts of a series of up to `mostPoints`. */
  constructor(method: MethodFactory, mostPoints: number) {
    this.#method = method;
    this.#value = new Float64Array(mostPoints);
    this.#lower = new Float64Array(mostPoints);
    this.#upper = new Float64Array(mostPoints);
  }

  get name(): string {
    return this.#method.name;
  }

  /** Forecasts at each point of a series, with a method made for it; `onChunk` hears of the points done, untimed. */
  take(
    { tSeconds, values }: { tSeconds: Float64Array; values: Float64Array },
    { horizonSeconds, nowNs }: { horizonSeconds: number; nowNs: () => number },
    onChunk: (points: number) => void,
  ): void {
    const method = this.#method.create(horizonSeconds);
    try {
      for (let from = 0; from < values.length; from += chunkPoints) {
        onChunk(from);
        const to = Math.min(values.length, from + chunkPoints);
        const beginNs = nowNs();
        this.#tick(method, tSeconds, values, from, to);
        this.elapsedNs += nowNs() - beginNs;
      }
    } finally {
      method.dispose?.();
    }
  }

  /** Goes over a series, which is not empty, until it has made `ticks` ticks; nothing of it is kept. */
  warmUp(
    { tSeconds, values }: { tSeconds: Float64Array; values: Float64Array },
    horizonSeconds: number,
    ticks: number,
  ): void {
    for (let left = ticks; left > 0; left -= values.length) {
      const method = this.#method.create(horizonSeconds);
      try {
        this.#tick(method, tSeconds, values, 0, Math.min(left, values.length));
      } finally {
        method.dispose?.();
      }
    }
  }

  /** Whether the forecast made at a point is a number with a finite interval. */
  isFinite(point: number): boolean {
    const [value, lower, upper] = [this.#value[point], this.#lower[point], this.#upper[point]];
    return Number.isFinite(value) && Number.isFinite(lower) && Number.isFinite(upper);
  }

  /**
   * Adds to `tally` the errors of the forecasts of the newest series, where `targets` says which value judges them.
   * Yields how many of these values lay within the interval.
   */
  judge(values: Float64Array, targets: Int32Array, tally: Tally): number {
    const before = tally.within;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i] as number;
      if (target === noTarget) continue;
      const [lower, upper] = [this.#lower[i] as number, this.#upper[i] as number];
      if (lower > upper)
        throw new Error(`${this.name}: the interval [${lower}, ${upper}] ends before it begins`);
      tally.add(this.#value[i] as number, lower, upper, values[target] as number);
    }
    return tally.within - before;
  }

  #tick(method: ScoredMethod, tSeconds: Float64Array, values: Float64Array, from: number, to: number): void {
    const [value, lower, upper] = [this.#value, this.#lower, this.#upper];
    for (let i = from; i < to; i++) {
      method.push(tSeconds[i] as number, values[i] as number);
      const forecast = method.forecast();
      value[i] = forecast === null ? Number.NaN : forecast.value;
      lower[i] = forecast === null ? Number.NaN : forecast.lower;
      upper[i] = forecast === null ? Number.NaN : forecast.upper;
    }
  }
}
