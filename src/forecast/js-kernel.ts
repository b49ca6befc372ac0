import { resolveBatchOptions } from "./batch.ts";
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
import { tickBatch } from "./js-batch.ts";
import {
  COLD_HALF_WIDTH,
  COUNTERS,
  EMA_ALPHA,
  HORIZON_SECONDS,
  MIN_POINTS,
  OUTPUT_COUNT,
  OUTPUTS,
  type SeriesMemory,
  seriesFields,
  WINDOW_POINTS,
} from "./series-layout.ts";
import { defaultSeriesLimit, requireSeriesLimit, resolveSeriesOptions } from "./series-options.ts";
import { pushResults, readForecast, readForecastValue, readRefused } from "./series-outputs.ts";
import { pushPoint, resetSeries } from "./series-push.ts";

/**
 * The kernel in plain TypeScript: the reference for the WASM one, and what runs where that does not start. It holds
 * `seriesLimit` series, 1..4096.
 */
export function createJsKernel({ seriesLimit = defaultSeriesLimit } = {}): Kernel {
  requireSeriesLimit(seriesLimit);
  let live = 0;
  return {
    name: "js",
    createSeries(options) {
      const resolved = resolveSeriesOptions(options);
      if (live >= seriesLimit) throw new SeriesLimitError(seriesLimit);
      live += 1;
      return new JsSeries(resolved, () => {
        live -= 1;
      });
    },
    createBatch(options) {
      const resolved = resolveBatchOptions(options);
      const layout = boundedBatchLayout(resolved.series, resolved.windowPoints);
      const memory = batchMemory(layout, new ArrayBuffer(Math.ceil(layout.bytes / 8) * 8));
      return new BatchSeries("js", resolved, memory, tickBatch);
    },
  };
}

/** The memory of an empty series. */
function seriesMemory(options: Readonly<SeriesOptions>): SeriesMemory {
  const doubles = new Float64Array(seriesFields(options.windowPoints));
  const counters = new Int32Array(doubles.buffer, 0, COUNTERS);
  counters[WINDOW_POINTS] = options.windowPoints;
  counters[MIN_POINTS] = options.minPoints;
  doubles[EMA_ALPHA] = options.emaAlpha;
  doubles[COLD_HALF_WIDTH] = options.coldHalfWidth;
  doubles[HORIZON_SECONDS] = options.horizonSeconds;
  return { doubles, counters };
}

class JsSeries implements Series {
  readonly #memory: SeriesMemory;
  readonly #outputs: Float64Array;
  readonly #release: () => void;
  #disposed = false;

  constructor(
    readonly options: Readonly<SeriesOptions>,
    release: () => void,
  ) {
    this.#memory = seriesMemory(options);
    this.#outputs = this.#memory.doubles.subarray(OUTPUTS, OUTPUTS + OUTPUT_COUNT);
    this.#release = release;
  }

  get refused(): RefusedCounts {
    this.#requireLive("refused");
    return readRefused(this.#outputs);
  }

  push(tSeconds: number, value: number): PushResult {
    this.#requireLive("push");
    return pushResults[pushPoint(this.#memory, tSeconds, value)] as PushResult;
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
    resetSeries(this.#memory);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  #requireLive(operation: string): void {
    if (this.#disposed) throw new DisposedSeriesError(operation);
  }
}
