import type { Batch, BatchOptions, BatchRefusedCounts } from "./batch.ts";
import { BatchClock } from "./batch-clock.ts";
import { BatchGaps, stateCold, stateEmpty } from "./batch-gaps.ts";
import {
  type BatchMemory,
  BLOCK_FIELDS,
  END_BLOCK,
  GROUP_FIELDS,
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
  readonly #groupOfBlock: Uint8Array;
  #refusedTicks = 0;

  constructor(
    readonly kernelName: "wasm" | "js",
    readonly options: Readonly<BatchOptions>,
    memory: BatchMemory,
    tick: TickKernel,
  ) {
    const { layout, doubles, integers } = memory;
    this.#memory = memory;
    this.#tick = tick;
    this.values = doubles.subarray(layout.input / 8, layout.input / 8 + layout.series);
    this.values.fill(Number.NaN);
    this.#clock = new BatchClock(memory, options);
    this.#gaps = new BatchGaps(memory, this.#clock, options);
    this.#groupOfBlock = new Uint8Array(layout.blocks);
    for (let group = 0, block = 0; group < layout.groups; group++) {
      const end = integers[layout.groupTable / 4 + group * GROUP_FIELDS + END_BLOCK] as number;
      this.#groupOfBlock.fill(group, block, end);
      block = end;
    }
  }

  tick(tSeconds: number): PushResult {
    const refusal = this.#refusal(tSeconds);
    if (refusal !== null) {
      this.#refusedTicks += 1;
      return refusal;
    }
    this.#clock.begin(tSeconds);
    const marked = this.#tick(this.#memory);
    if (marked > 0) this.#settle(marked);
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
    const perWidth = clock.deviationPerWidth[this.#groupOfBlock[block] as number] as number;
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
      residualDeviation: own ? (gaps.ownDeviation[series] as number) : halfWidth * perWidth,
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

  /** The series that are not like the others. */
  #settle(marked: number): void {
    const { layout, integers } = this.#memory;
    for (let mark = 0; mark < marked; mark++) {
      const block = integers[layout.marks / 4 + mark] as number;
      this.#gaps.settle(mark, this.#groupOfBlock[block] as number);
    }
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
