import * as layout from "../../assembly/adaptive/layout.ts";
import {
  type AdaptiveForecast,
  type AdaptiveNews,
  type AdaptiveOptions,
  type AdaptiveSeries,
  type Calibration,
  type ExpertName,
  expertNames,
  type MemoryTrend,
} from "./adaptive.ts";
import type { PushResult, RefusedCounts } from "./forecaster.ts";
import { pushResults } from "./series-outputs.ts";

/** What a kernel does with a forecaster's memory. */
export interface AdaptiveOperations {
  /** `layout.CELLS` doubles. */
  readonly cells: Float64Array;
  start(): void;
  push(tSeconds: number, value: number, line: number): number;
  shift(step: number): void;
  moveClock(seconds: number): void;
  measureTrend(): void;
}

const calibrations: Record<number, Calibration> = {
  [layout.STATE_CALIBRATING]: "calibrating",
  [layout.STATE_CALIBRATED]: "calibrated",
  [layout.STATE_MISCALIBRATED]: "miscalibrated",
};

/** The forecaster on one kernel's operations: it reads and writes the memory that they work on. */
export class MemoryAdaptiveSeries implements AdaptiveSeries {
  readonly #operations: AdaptiveOperations;
  readonly #cells: Float64Array;
  #threshold: number;

  constructor(
    readonly kernelName: "wasm" | "js",
    readonly options: AdaptiveOptions,
    operations: AdaptiveOperations,
  ) {
    this.#operations = operations;
    this.#cells = operations.cells;
    this.#threshold = options.threshold;
    this.reset();
  }

  get refused(): RefusedCounts {
    return {
      notFinite: this.#at(layout.REFUSED_NOT_FINITE),
      repeated: this.#at(layout.REFUSED_REPEATED),
      backward: this.#at(layout.REFUSED_BACKWARD),
    };
  }

  get drifts(): number {
    return this.#at(layout.DRIFTS);
  }

  push(tSeconds: number, value: number, line: number): PushResult {
    return pushResults[this.#operations.push(tSeconds, value, line)] as PushResult;
  }

  forecast(): AdaptiveForecast | null {
    const calibration = calibrations[this.#at(layout.OUTPUT_STATE)];
    if (!calibration) return null;
    const judged = this.#at(layout.JUDGED);
    const atSeconds = this.#at(layout.LAST_SECONDS);
    return {
      calibration,
      points: this.#at(layout.SEEN),
      atSeconds,
      targetSeconds: atSeconds + this.options.horizonSeconds,
      value: this.#at(layout.OUTPUT_VALUE),
      lower: this.#at(layout.OUTPUT_LOWER),
      upper: this.#at(layout.OUTPUT_UPPER),
      atLeast: this.#at(layout.OUTPUT_AT_LEAST),
      atMost: this.#at(layout.OUTPUT_AT_MOST),
      coverage: judged === 0 ? null : this.#at(layout.COVERED) / judged,
      recentCoverage: judged === 0 ? null : this.#at(layout.RECENT_COVERAGE),
      judged,
      usualError: this.#at(layout.SCORED) === 0 ? null : this.#at(layout.SLOW_ERROR),
      weights: this.#weights(),
    };
  }

  read(to: { value: number; lower: number; upper: number }): boolean {
    if (this.#at(layout.OUTPUT_STATE) === layout.STATE_EMPTY) return false;
    to.value = this.#at(layout.OUTPUT_VALUE);
    to.lower = this.#at(layout.OUTPUT_LOWER);
    to.upper = this.#at(layout.OUTPUT_UPPER);
    return true;
  }

  trend(): MemoryTrend {
    this.#operations.measureTrend();
    const seconds = this.#at(layout.OUTPUT_CROSSING);
    return {
      slopePerSecond: this.#at(layout.OUTPUT_SLOPE),
      slopeLower: this.#at(layout.OUTPUT_SLOPE_LOWER),
      slopeUpper: this.#at(layout.OUTPUT_SLOPE_UPPER),
      significant: this.#at(layout.OUTPUT_SIGNIFICANT) === 1,
      crossing:
        seconds < 0
          ? null
          : {
              seconds,
              earliestSeconds: this.#at(layout.OUTPUT_CROSSING_EARLIEST),
              latestSeconds: this.#at(layout.OUTPUT_CROSSING_LATEST),
            },
    };
  }

  news(): AdaptiveNews {
    return {
      surprise: this.#at(layout.OUTPUT_SURPRISE),
      riseRatio: this.#at(layout.OUTPUT_RISE),
      drifted: this.#at(layout.OUTPUT_DRIFTED) === 1,
    };
  }

  shift(step: number): void {
    this.#operations.shift(step);
  }

  moveClock(seconds: number): void {
    this.#operations.moveClock(seconds);
  }

  newest(): { tSeconds: number; value: number } | null {
    if (this.#at(layout.POINTS) === 0) return null;
    return { tSeconds: this.#at(layout.LAST_SECONDS), value: this.#at(layout.LAST_VALUE) };
  }

  setThreshold(threshold: number): void {
    this.#threshold = threshold;
    this.#cells[layout.THRESHOLD] = threshold;
  }

  reset(): void {
    this.#cells[layout.HORIZON_SECONDS] = this.options.horizonSeconds;
    this.#cells[layout.THRESHOLD] = this.#threshold;
    this.#cells[layout.COLD_HALF_WIDTH] = this.options.coldHalfWidth;
    this.#operations.start();
  }

  save(into?: Float64Array): Float64Array {
    if (!into) return this.#cells.slice();
    into.set(this.#cells);
    return into;
  }

  restore(cells: Float64Array): void {
    if (cells.length !== this.#cells.length)
      throw new RangeError(`a memory of ${cells.length} cells: must be ${this.#cells.length}`);
    this.#cells.set(cells);
    this.#cells[layout.THRESHOLD] = this.#threshold;
  }

  #weights(): Record<ExpertName, number> {
    const weights = {} as Record<ExpertName, number>;
    for (let i = 0; i < expertNames.length; i++)
      weights[expertNames[i] as ExpertName] = this.#at(layout.WEIGHTS + i);
    return weights;
  }

  #at(address: number): number {
    return this.#cells[address] as number;
  }
}
