import { type Batch, type BatchOptions, resolveBatchOptions } from "./batch.ts";
import { batchMemory, boundedBatchLayout } from "./batch-layout.ts";
import { BatchSeries } from "./batch-series.ts";
import {
  DisposedSeriesError,
  type Forecast,
  type Kernel,
  type PushResult,
  type RefusedCounts,
  type Series,
  SeriesLimitError,
  type SeriesOptions,
} from "./forecaster.ts";
import { OUTPUT_COUNT } from "./series-layout.ts";
import { defaultSeriesLimit, requireSeriesLimit, resolveSeriesOptions } from "./series-options.ts";
import { pushResults, readForecast, readForecastValue, readRefused } from "./series-outputs.ts";
import { studentT975Table } from "./student-t.ts";

/** The ABI that this file speaks; `assembly/layout.ts` holds the other end. */
const abiVersion = 3;

/** The exports of `assembly/index.ts`. */
interface KernelExports {
  memory: WebAssembly.Memory;
  abiVersion(): number;
  initialize(seriesCapacity: number): number;
  studentTOffset(): number;
  createSeries(
    windowPoints: number,
    minPoints: number,
    emaAlpha: number,
    coldHalfWidth: number,
    horizonSeconds: number,
  ): number;
  outputsOffset(series: number): number;
  pushPoint(series: number, tSeconds: number, value: number): number;
  resetSeries(series: number): void;
  disposeSeries(series: number): void;
  initializeBatch(bytes: number): number;
  tickBatch(): number;
}

/**
 * Compiles the kernel and gives it its memory. Rejects when the bytes are not a module that this engine compiles, when
 * they speak another ABI, or when the memory for `seriesLimit` series (1..4096) cannot be had.
 */
export async function createWasmKernel(
  bytes: ArrayBuffer,
  { seriesLimit = defaultSeriesLimit } = {},
): Promise<Kernel> {
  requireSeriesLimit(seriesLimit);
  const { instance, module } = await WebAssembly.instantiate(bytes, {});
  const exports = instance.exports as unknown as KernelExports;
  const found = typeof exports.abiVersion === "function" ? exports.abiVersion() : "none";
  if (found !== abiVersion) throw new Error(`the kernel speaks ABI ${found}, not ${abiVersion}: rebuild it`);
  if (exports.initialize(seriesLimit) !== 1) throw new Error(`no memory for ${seriesLimit} series`);
  new Float64Array(exports.memory.buffer, exports.studentTOffset(), studentT975Table.length).set(
    studentT975Table,
  );
  return {
    name: "wasm",
    createSeries(options) {
      const resolved = resolveSeriesOptions(options);
      const { windowPoints, minPoints, emaAlpha, coldHalfWidth, horizonSeconds } = resolved;
      const slot = exports.createSeries(windowPoints, minPoints, emaAlpha, coldHalfWidth, horizonSeconds);
      if (slot === 0) throw new SeriesLimitError(seriesLimit);
      return new WasmSeries(exports, slot, resolved);
    },
    createBatch: (options) => createWasmBatch(module, resolveBatchOptions(options)),
  };
}

/** A batch in an instance of its own: its memory grows once, before any view of it is taken. */
function createWasmBatch(module: WebAssembly.Module, options: Readonly<BatchOptions>): Batch {
  const layout = boundedBatchLayout(options.series, options.windowPoints);
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as KernelExports;
  if (exports.initializeBatch(layout.bytes) !== 1)
    throw new RangeError(`no memory for ${layout.bytes} bytes`);
  const memory = batchMemory(layout, exports.memory.buffer as ArrayBuffer);
  return new BatchSeries("wasm", options, memory, () => exports.tickBatch());
}

class WasmSeries implements Series {
  readonly options: Readonly<SeriesOptions>;
  readonly #exports: KernelExports;
  /** The export itself: looking it up costs a tenth of a push. */
  readonly #pushPoint: KernelExports["pushPoint"];
  readonly #slot: number;
  readonly #outputs: Float64Array;
  #disposed = false;

  constructor(exports: KernelExports, slot: number, options: Readonly<SeriesOptions>) {
    this.options = options;
    this.#exports = exports;
    this.#pushPoint = exports.pushPoint;
    this.#slot = slot;
    this.#outputs = new Float64Array(exports.memory.buffer, exports.outputsOffset(slot), OUTPUT_COUNT);
  }

  get refused(): RefusedCounts {
    this.#requireLive("refused");
    return readRefused(this.#outputs);
  }

  push(tSeconds: number, value: number): PushResult {
    this.#requireLive("push");
    const pushPoint = this.#pushPoint;
    const result = pushPoint(this.#slot, tSeconds, value);
    return result === 0 ? "accepted" : (pushResults[result] as PushResult);
  }

  forecast(): Forecast | null {
    this.#requireLive("forecast");
    return readForecast(this.#outputs, this.options.horizonSeconds);
  }

  forecastValue(): number | null {
    this.#requireLive("forecastValue");
    return readForecastValue(this.#outputs);
  }

  reset(): void {
    this.#requireLive("reset");
    this.#exports.resetSeries(this.#slot);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#exports.disposeSeries(this.#slot);
  }

  /** The slot may belong to another series by now. */
  #requireLive(operation: string): void {
    if (this.#disposed) throw new DisposedSeriesError(operation);
  }
}
