/** A policy with everything that it needs to be run on simulated hosts, one after the other. */

import type { Config } from "../config/schema.ts";
import type { AdaptiveKernel } from "../forecast/adaptive.ts";
import type { Kernel } from "../forecast/forecaster.ts";
import type { HostModel } from "../replay/host.ts";
import { ScalerJudge, type ScalerJudgeOptions } from "../replay/scaler-judge.ts";
import { type SimulationOptions, simulate } from "../replay/simulation.ts";
import type { Tally } from "../replay/tally.ts";
import type { Policy } from "../scaler/situation.ts";
import { ReplayForecasts } from "./replay-forecast.ts";

export interface Kernels {
  kernel: Kernel;
  adaptive: AdaptiveKernel;
}

/** `order`: by which the plugins count, where that is not the policy's own. */
export type RunListeners = Pick<SimulationOptions, "onDecision" | "onTick" | "onState" | "onOom"> &
  Partial<Pick<SimulationOptions, "order">> &
  Pick<ScalerJudgeOptions, "onVerdict" | "thorough">;

/** What a run depends on beside the policy. */
export interface RunnerSettings {
  forecast: Omit<Config["forecast"], "retrain" | "kernel">;
  monitor: Pick<Config["monitor"], "interval" | "window" | "reflex">;
  plugins: Pick<Config["plugins"], "startTimeout">;
}

export class PolicyRunner {
  readonly #settings: RunnerSettings;
  readonly #forecasts: ReplayForecasts;

  /** Throws as `Kernel.createSeries` does. */
  constructor(
    settings: RunnerSettings,
    kernels: Kernels,
    readonly policy: Policy,
  ) {
    const { forecast, monitor } = settings;
    this.#settings = settings;
    this.#forecasts = new ReplayForecasts({ ...kernels, forecast, window: monitor.window });
  }

  /** What became of the host under the policy. */
  run(model: HostModel, { onVerdict, thorough, ...listeners }: RunListeners = {}): Tally {
    const { forecast, monitor, plugins } = this.#settings;
    const judge = new ScalerJudge({
      policy: this.policy,
      forecast: this.#forecasts.next,
      reflex: { slowestMs: monitor.reflex.slowest, fastestMs: monitor.reflex.fastest },
      reservationMs: plugins.startTimeout,
      horizonMs: forecast.horizon,
      ...(onVerdict ? { onVerdict } : {}),
      ...(thorough ? { thorough } : {}),
    });
    return simulate(model, judge, {
      intervalMs: monitor.interval,
      horizonMs: forecast.horizon,
      order: this.policy.order,
      ...listeners,
    });
  }

  /** Gives the kernel's memory back; nothing is run afterwards. */
  dispose(): void {
    this.#forecasts.dispose();
  }
}
