import { coldHalfWidth } from "./cold-interval.ts";
import { emaStep } from "./ema.ts";
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
import { emptyFit, fitLine, lineAt, predictionHalfWidth, residualVariance } from "./ols.ts";
import { PointRing } from "./ring.ts";
import { defaultSeriesLimit, requireSeriesLimit, resolveSeriesOptions } from "./series-options.ts";

const maxMagnitude = 1e100;
const minStepSeconds = 1e-6;

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
  };
}

class JsSeries implements Series {
  readonly #ring: PointRing;
  readonly #fit = emptyFit();
  readonly #release: () => void;
  readonly #refused = { notFinite: 0, repeated: 0, backward: 0 };
  #state: "empty" | "cold" | "ready" = "empty";
  #disposed = false;
  #atSeconds = 0;
  #targetSeconds = 0;
  #value = 0;
  #smoothed = 0;
  #halfWidth = 0;
  #slopePerSecond = 0;
  #residualDeviation = 0;

  constructor(
    readonly options: Readonly<SeriesOptions>,
    release: () => void,
  ) {
    this.#ring = new PointRing(options.windowPoints);
    this.#release = release;
  }

  get refused(): RefusedCounts {
    this.#requireLive("refused");
    return { ...this.#refused };
  }

  push(tSeconds: number, value: number): PushResult {
    this.#requireLive("push");
    const refusal = this.#refusal(tSeconds, value);
    if (refusal) return refusal;
    const ring = this.#ring;
    ring.append(tSeconds, value);
    this.#atSeconds = tSeconds;
    this.#targetSeconds = tSeconds + this.options.horizonSeconds;
    if (ring.points < this.options.minPoints) this.#forecastCold(value);
    else this.#forecastLine(tSeconds);
    return "accepted";
  }

  forecast(): Forecast | null {
    this.#requireLive("forecast");
    if (this.#state === "empty") return null;
    return {
      state: this.#state,
      points: this.#ring.points,
      atSeconds: this.#atSeconds,
      targetSeconds: this.#targetSeconds,
      value: this.#value,
      smoothed: this.#smoothed,
      lower: this.#value - this.#halfWidth,
      upper: this.#value + this.#halfWidth,
      slopePerSecond: this.#slopePerSecond,
      residualDeviation: this.#residualDeviation,
    };
  }

  reset(): void {
    this.#requireLive("reset");
    this.#ring.clear();
    this.#state = "empty";
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  #requireLive(operation: string): void {
    if (this.#disposed) throw new DisposedSeriesError(operation);
  }

  #refusal(tSeconds: number, value: number): PushResult | null {
    if (!(Math.abs(tSeconds) <= maxMagnitude && Math.abs(value) <= maxMagnitude)) {
      this.#refused.notFinite += 1;
      return "not-finite";
    }
    if (this.#ring.points === 0) return null;
    const stepSeconds = tSeconds - this.#ring.newestSeconds();
    if (stepSeconds >= minStepSeconds) return null;
    if (stepSeconds < 0) {
      this.#refused.backward += 1;
      return "backward";
    }
    this.#refused.repeated += 1;
    return "repeated";
  }

  #forecastCold(last: number): void {
    this.#state = "cold";
    this.#value = last;
    this.#smoothed = last;
    this.#halfWidth = coldHalfWidth(this.#ring, this.options);
    this.#slopePerSecond = 0;
    this.#residualDeviation = this.#halfWidth;
  }

  #forecastLine(tSeconds: number): void {
    const fit = this.#fit;
    fitLine(this.#ring, fit);
    const fromMean = tSeconds - fit.originSeconds - fit.meanTime + this.options.horizonSeconds;
    const value = lineAt(fit, fromMean);
    this.#smoothed = this.#state === "ready" ? emaStep(this.#smoothed, value, this.options.emaAlpha) : value;
    this.#state = "ready";
    this.#value = value;
    this.#halfWidth = predictionHalfWidth(fit, fromMean);
    this.#slopePerSecond = fit.slopePerSecond;
    this.#residualDeviation = Math.sqrt(residualVariance(fit));
  }
}
