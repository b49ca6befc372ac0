/** The memory forecast for a replay: the live loop's feed on its own series, one simulation after the other. */

import type { Config } from "../config/schema.ts";
import type { AdaptiveKernel, AdaptiveSeries } from "../forecast/adaptive.ts";
import type { Kernel } from "../forecast/forecaster.ts";
import { MemoryForecast } from "../forecast/memory-forecast.ts";
import { createForecaster } from "../forecast/named-series.ts";
import { SampleWindow } from "../monitor/window.ts";
import type { ForecastPort, ScalerJudgeOptions } from "../replay/scaler-judge.ts";
import { ForecastFeed } from "./forecast-feed.ts";

export interface ReplayForecastOptions {
  kernel: Kernel;
  adaptive: AdaptiveKernel;
  forecast: Pick<Config["forecast"], "method" | "horizon" | "points" | "minPoints" | "emaAlpha">;
  /** Samples that the live loop keeps. */
  window: number;
}

/**
 * Makes forecasts for simulations that follow each other: a new one takes over the memory of the last, which is over then.
 * Throws as `Kernel.createSeries` does.
 */
export class ReplayForecasts {
  readonly #options: ReplayForecastOptions;
  readonly #mix: AdaptiveSeries;
  readonly #forecaster: ReturnType<typeof createForecaster>;

  constructor(options: ReplayForecastOptions) {
    const { kernel, adaptive, forecast } = options;
    this.#options = options;
    this.#forecaster = createForecaster(kernel);
    this.#mix = adaptive.createSeries({
      horizonSeconds: forecast.horizon / 1_000,
      threshold: 80,
      coldHalfWidth: 100,
    });
  }

  readonly next: ScalerJudgeOptions["forecast"] = (learned): ForecastPort => {
    const { forecast, window: points } = this.#options;
    this.#mix.reset();
    const window = new SampleWindow(points);
    const memory = new MemoryForecast(this.#forecaster, this.#mix, {
      method: forecast.method,
      horizonMs: forecast.horizon,
      points: forecast.points,
      minPoints: forecast.minPoints,
      emaAlpha: forecast.emaAlpha,
    });
    const feed = new ForecastFeed({
      forecast: memory,
      window,
      learned,
      onRefused: (reason) => {
        throw new Error(`the forecast refused a simulated sample: ${reason}`);
      },
      onBudget: () => undefined,
    });
    return {
      observe: (sample) => {
        window.push(sample);
        feed.observe(sample);
      },
      rebuild: (atMs, because, running) => feed.rebuild(atMs, because, running),
      facts: () => feed.facts(),
    };
  };

  /** Gives the kernel's memory back; nothing is forecast afterwards. */
  dispose(): void {
    for (const name of this.#forecaster.names()) this.#forecaster.forget(name);
  }
}
