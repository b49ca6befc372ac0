import type { Batch, BatchOptions, BatchRefusedCounts } from "./batch.ts";
import { BatchClock } from "./batch-clock.ts";
import { BatchGaps, stateCold, stateEmpty } from "./batch-gaps.ts";
import {
  type BatchMemory,
  BLOCK_FIELDS,
  HALF_WIDTH,
  LANES,
  SLOPE_PER_SECOND,
  SMOOTHED,
  VALUE,
} from "./batch-layout.ts";
import type { Forecast, PushResult } from "./forecaster.ts";

const maxMagnitude = 1e100;
const minStepSeconds = 1e-6;

/** What a kernel does with a batch's memory: takes the values, and answers how many blocks it marked. */
export type TickKernel = (memory: BatchMemory) => number;

/** A batch on the memory and the tick of a kernel, which differ; everything else they share. */
export class BatchSeries implements Batch {
  readonly values: Float64Array;
  readonly #memory: BatchMemory;
  readonly #tick: TickKernel;
  readonly #clock: BatchClock;
  readonly #gaps: BatchGaps;
  #refusedTicks = 0;

  constructor(
    readonly kernelName: "wasm" | "js",
    readonly options: Readonly<BatchOptions>,
    memory: BatchMemory,
    tick: TickKernel,
  ) {
    const { layout, doubles } = memory;
    this.#memory = memory;
    this.#tick = tick;
    this.values = doubles.subarray(layout.input / 8, layout.input / 8 + layout.series);
    this.values.fill(Number.NaN);
    this.#clock = new BatchClock(memory, options);
    this.#gaps = new BatchGaps(memory, this.#clock, options);
  }

  tick(tSeconds: number): PushResult {
    const refusal = this.#refusal(tSeconds);
    if (refusal !== null) {
      this.#refusedTicks += 1;
      return refusal;
    }
    this.#clock.begin(tSeconds);
    const marked = this.#tick(this.#memory);
    // The series that are not like the others.
    for (let mark = 0; mark < marked; mark++) this.#gaps.settle(mark);
    this.#clock.done();
    return "accepted";
  }

  forecast(series: number): Forecast | null {
    this.#requireSeries(series);
    const gaps = this.#gaps;
    const state = gaps.states[series] as number;
    const own = gaps.own[series] === 1;
    const clock = this.#clock;
    if (state === stateEmpty) return null;
    if (own && clock.ticks - (gaps.ownTick[series] as number) > this.options.windowPoints) return null;
    const { layout, doubles } = this.#memory;
    const block = Math.floor(series / LANES);
    const at = layout.state / 8 + block * BLOCK_FIELDS + (series % LANES);
    const atSeconds = own ? (gaps.ownSeconds[series] as number) : clock.lastSeconds;
    const value = doubles[at + VALUE] as number;
    const halfWidth = doubles[at + HALF_WIDTH] as number;
    return {
      state: state === stateCold ? "cold" : "ready",
      points: own ? (gaps.ownPoints[series] as number) : clock.lastPoints,
      atSeconds,
      targetSeconds: atSeconds + this.options.horizonSeconds,
      value,
      smoothed: doubles[at + SMOOTHED] as number,
      lower: value - halfWidth,
      upper: value + halfWidth,
      slopePerSecond: doubles[at + SLOPE_PER_SECOND] as number,
      residualDeviation: own ? (gaps.ownDeviation[series] as number) : halfWidth * clock.deviationPerWidth,
    };
  }

  refused(series: number): BatchRefusedCounts {
    this.#requireSeries(series);
    return { missing: this.#gaps.missing[series] as number, ticks: this.#refusedTicks };
  }

  reset(): void {
    const { layout, doubles } = this.#memory;
    doubles.fill(0, layout.state / 8, layout.state / 8 + layout.blocks * BLOCK_FIELDS);
    this.#clock.reset();
    this.#gaps.reset();
  }

  #refusal(tSeconds: number): PushResult | null {
    if (!(Math.abs(tSeconds) <= maxMagnitude)) return "not-finite";
    if (this.#clock.ticks === 0) return null;
    const stepSeconds = tSeconds - this.#clock.lastSeconds;
    if (stepSeconds >= minStepSeconds) return null;
    return stepSeconds < 0 ? "backward" : "repeated";
  }

  #requireSeries(series: number): void {
    if (Number.isInteger(series) && series >= 0 && series < this.options.series) return;
    throw new RangeError(`series ${series} is not in a batch of ${this.options.series}`);
  }
}
