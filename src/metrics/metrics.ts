/**
 * Every metric, in the one place that touches prom-client. Base units; bounded labels (64 values a label of a metric, then
 * "other"); a value that nobody knows has no series.
 */

import Registry from "prom-client/lib/registry.js";
import { BoundedCounter, BoundedGauge, BoundedHistogram, StateGauge } from "./bounded-metrics.ts";

export type BreakerState = "closed" | "open" | "half_open";
/** The label `resource` of `system_resources`: percent are 0..100. */
export type ResourceName =
  | "cpu_percent"
  | "memory_percent"
  | "memory_used_bytes"
  | "memory_budget_bytes"
  | "swap_percent"
  | "swap_used_bytes"
  | "swap_total_bytes"
  | "disk_percent"
  | "disk_free_bytes"
  | "load1"
  | "load5"
  | "load15"
  | "psi_memory_some_percent"
  | "psi_memory_full_percent"
  | "psi_cpu_some_percent"
  | "psi_io_some_percent"
  | "psi_io_full_percent";

export interface BuildLabels {
  version: string;
  commit: string;
  /** The forecast kernel that runs: "wasm" or "js". */
  kernel: string;
}

/** The memory forecast at the horizon, as shares (0..1) of the budget. */
export interface ForecastGauges {
  valueRatio: number;
  lowerRatio: number | null;
  upperRatio: number | null;
}

/** The states that are known beforehand, so that the ones that do not hold show as 0. */
export interface MetricStates {
  plugin: readonly string[];
  forecast: readonly string[];
  calibration: readonly string[];
}

/** How good the adaptive forecast is; null for what is not known. */
export interface ForecastQuality {
  calibration: string;
  /** Share of the latest outcomes that lay in the 95 % interval. */
  coverageRatio: number | null;
  /** Share of each expert in the forecast. */
  weights: Readonly<Record<string, number>>;
  /** Until the shed line; null without a significant rise. */
  secondsToThreshold: number | null;
}

const breakerStates: readonly BreakerState[] = ["closed", "open", "half_open"];
/** From a local call to the timeouts of a health check and a request. */
const answerBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30];
/** A tick aims at under 5 ms and may take 200. */
const tickBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1];

const of = <Name extends string>(name: string, help: string, ...labels: Name[]) => ({ name, help, labels });

/** The names that the mission gives. */
const missionMetrics = (registry: Registry) => ({
  healthChecks: new BoundedCounter(
    registry,
    of("health_check_total", "Health checks by their result.", "platform", "status"),
  ),
  healthSeconds: new BoundedHistogram(
    registry,
    of("health_check_duration_seconds", "Time until a health check was answered or given up.", "platform"),
    answerBucketsSeconds,
  ),
  breaker: new StateGauge(
    registry,
    of(
      "circuit_breaker_state",
      "1 for the state that the circuit breaker is in, 0 for the others.",
      "platform",
    ),
    breakerStates,
  ),
  pluginFailures: new BoundedCounter(
    registry,
    of("plugin_failure_total", "Failures of plugins by their kind.", "platform", "error_type"),
  ),
  resources: new BoundedGauge(
    registry,
    of(
      "system_resources",
      "What the host uses, in the unit that the name of the resource ends with.",
      "resource",
    ),
  ),
});

const qualityMetrics = (registry: Registry, calibrations: readonly string[]) => ({
  calibration: new StateGauge(
    registry,
    of("conductor_forecast_calibration", "1 for how far the interval can be trusted, 0 for the others."),
    calibrations,
  ),
  coverage: new BoundedGauge(
    registry,
    of(
      "conductor_forecast_coverage_ratio",
      "Share of the latest outcomes that lay in the 95 percent interval.",
    ),
  ),
  weight: new BoundedGauge(
    registry,
    of("conductor_forecast_expert_weight_ratio", "Share of the expert in the forecast.", "expert"),
  ),
  secondsToThreshold: new BoundedGauge(
    registry,
    of(
      "conductor_forecast_time_to_threshold_seconds",
      "Time until memory reaches the shed line, while its rise is significant.",
    ),
  ),
  trainings: new BoundedCounter(
    registry,
    of(
      "conductor_forecast_trainings_total",
      "Trainings of the adaptive forecast, by why they were made and what came of them.",
      "trigger",
      "outcome",
    ),
  ),
  anomalies: new BoundedCounter(
    registry,
    of("conductor_forecast_anomalies_total", "Anomalies of memory that began.", "kind"),
  ),
});

const forecastMetrics = (registry: Registry, states: readonly string[]) => ({
  forecastValue: new BoundedGauge(
    registry,
    of("conductor_forecast_memory_ratio", "Memory forecast at the horizon, as a share of the budget."),
  ),
  forecastLower: new BoundedGauge(
    registry,
    of("conductor_forecast_memory_lower_ratio", "Lower end of the 95 percent prediction interval."),
  ),
  forecastUpper: new BoundedGauge(
    registry,
    of("conductor_forecast_memory_upper_ratio", "Upper end of the 95 percent prediction interval."),
  ),
  forecastState: new StateGauge(
    registry,
    of("conductor_forecast_state", "1 for the state that the forecast is in, 0 for the others."),
    states,
  ),
  memoryUsed: new BoundedGauge(
    registry,
    of("conductor_memory_used_bytes", "Memory in use that counts against the budget."),
  ),
  memoryBudget: new BoundedGauge(
    registry,
    of("conductor_memory_budget_bytes", "Memory that the host may use."),
  ),
});

const scalingMetrics = (registry: Registry) => ({
  decisions: new BoundedCounter(
    registry,
    of("conductor_scaling_decisions_total", "Scaling decisions by rule and outcome.", "rule", "outcome"),
  ),
  sheds: new BoundedCounter(registry, of("conductor_sheds_total", "Plugins stopped for memory.", "plugin")),
  restores: new BoundedCounter(
    registry,
    of("conductor_restores_total", "Plugins started again after they were shed.", "plugin"),
  ),
  reclaimedExpected: new BoundedCounter(
    registry,
    of("conductor_reclaimed_expected_bytes_total", "Memory that sheds were expected to free."),
  ),
  reclaimed: new BoundedCounter(
    registry,
    of("conductor_reclaimed_bytes_total", "Memory that sheds freed, as measured afterwards."),
  ),
});

const pluginMetrics = (registry: Registry, states: readonly string[]) => ({
  pluginState: new StateGauge(
    registry,
    of("conductor_plugin_state", "1 for the state that the plugin is in, 0 for the others.", "plugin"),
    states,
  ),
  footprint: new BoundedGauge(
    registry,
    of(
      "conductor_plugin_footprint_bytes",
      "Memory of the whole process tree of the plugin, and how it was measured.",
      "plugin",
      "method",
    ),
  ),
  restarts: new BoundedCounter(
    registry,
    of("conductor_plugin_restarts_total", "Starts of a plugin after it ended by itself.", "plugin"),
  ),
  requests: new BoundedCounter(
    registry,
    of("conductor_requests_total", "Requests by how they ended.", "platform", "outcome"),
  ),
  requestSeconds: new BoundedHistogram(
    registry,
    of("conductor_request_duration_seconds", "Time until a request was answered.", "platform"),
    answerBucketsSeconds,
  ),
});

const ownMetrics = (registry: Registry) => ({
  build: new BoundedGauge(
    registry,
    of("conductor_build_info", "Always 1; the labels say what runs.", "version", "commit", "kernel"),
  ),
  tickSeconds: new BoundedHistogram(
    registry,
    of("conductor_tick_duration_seconds", "Time that one tick of the loop took."),
    tickBucketsSeconds,
  ),
  gaps: new BoundedCounter(
    registry,
    of("conductor_sample_gaps_total", "Reads of the host that failed.", "source"),
  ),
  refusedSamples: new BoundedCounter(
    registry,
    of("conductor_refused_samples_total", "Samples that the forecast did not take.", "reason"),
  ),
  writeFailures: new BoundedCounter(
    registry,
    of("conductor_storage_write_failures_total", "Writes to the database that failed.", "kind"),
  ),
  logDrops: new BoundedCounter(
    registry,
    of("conductor_log_drops_total", "Log lines that were dropped since nobody took them."),
  ),
  processMemory: new BoundedGauge(
    registry,
    of("conductor_process_memory_bytes", "Memory of the conductor itself (proportional set size)."),
  ),
});

/** What the rest of the program says happened; how that is counted is known here alone. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #mission = missionMetrics(this.#registry);
  readonly #forecast;
  readonly #quality;
  readonly #scaling = scalingMetrics(this.#registry);
  readonly #plugins;
  readonly #own = ownMetrics(this.#registry);
  readonly #footprintMethod = new Map<string, string>();

  constructor(build: BuildLabels, states: MetricStates) {
    this.#forecast = forecastMetrics(this.#registry, states.forecast);
    this.#quality = qualityMetrics(this.#registry, states.calibration);
    this.#plugins = pluginMetrics(this.#registry, states.plugin);
    this.#own.build.set({ ...build }, 1);
  }

  /** The value of the Content-Type header for `render`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in the text format of Prometheus. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  observeHealthCheck(platform: string, status: string, seconds: number): void {
    this.#mission.healthChecks.add({ platform, status });
    this.#mission.healthSeconds.observe({ platform }, seconds);
  }

  setBreakerState(platform: string, state: BreakerState): void {
    this.#mission.breaker.set({ platform }, state);
  }

  countPluginFailure(platform: string, errorType: string): void {
    this.#mission.pluginFailures.add({ platform, error_type: errorType });
  }

  /** Null for what was not measured: its series goes until it is measured again. */
  setResources(values: Readonly<Partial<Record<ResourceName, number | null>>>): void {
    for (const resource in values)
      this.#mission.resources.set({ resource }, values[resource as ResourceName] ?? null);
  }

  setMemory(usedBytes: number | null, budgetBytes: number | null): void {
    this.#forecast.memoryUsed.set({}, usedBytes);
    this.#forecast.memoryBudget.set({}, budgetBytes);
  }

  /** Null when there is no forecast. */
  setForecast(forecast: ForecastGauges | null, state: string): void {
    this.#forecast.forecastValue.set({}, forecast?.valueRatio ?? null);
    this.#forecast.forecastLower.set({}, forecast?.lowerRatio ?? null);
    this.#forecast.forecastUpper.set({}, forecast?.upperRatio ?? null);
    this.#forecast.forecastState.set({}, state);
  }

  setForecastQuality({ calibration, coverageRatio, weights, secondsToThreshold }: ForecastQuality): void {
    this.#quality.calibration.set({}, calibration);
    this.#quality.coverage.set({}, coverageRatio);
    for (const expert in weights) this.#quality.weight.set({ expert }, weights[expert] ?? null);
    this.#quality.secondsToThreshold.set({}, secondsToThreshold);
  }

  countForecastTraining(trigger: string, adopted: boolean): void {
    this.#quality.trainings.add({ trigger, outcome: adopted ? "adopted" : "rejected" });
  }

  countForecastAnomaly(kind: string): void {
    this.#quality.anomalies.add({ kind });
  }

  countDecision(rule: string, outcome: string): void {
    this.#scaling.decisions.add({ rule, outcome });
  }

  /** A shed plugin; memory that grew in spite of it (a negative `actualBytes`) adds nothing to what was reclaimed. */
  countShed(plugin: string, expectedBytes: number | null, actualBytes: number | null): void {
    this.#scaling.sheds.add({ plugin });
    this.#scaling.reclaimedExpected.add({}, expectedBytes ?? 0);
    this.#scaling.reclaimed.add({}, actualBytes ?? 0);
  }

  countRestore(plugin: string): void {
    this.#scaling.restores.add({ plugin });
  }

  setPluginState(plugin: string, state: string): void {
    this.#plugins.pluginState.set({ plugin }, state);
  }

  /** One series a plugin: another `method` takes the place of the last one. */
  setPluginFootprint(plugin: string, bytes: number | null, method: string): void {
    const last = this.#footprintMethod.get(plugin);
    if (last !== undefined && last !== method) this.#plugins.footprint.set({ plugin, method: last }, null);
    if (bytes === null) this.#footprintMethod.delete(plugin);
    else this.#footprintMethod.set(plugin, method);
    this.#plugins.footprint.set({ plugin, method }, bytes);
  }

  /** Takes the states and footprints of a plugin that is no more; what was counted stays. */
  forgetPlugin(plugin: string): void {
    this.#plugins.pluginState.forget({ plugin }, "plugin");
    const method = this.#footprintMethod.get(plugin);
    if (method !== undefined) this.#plugins.footprint.forget({ plugin, method }, "plugin");
    this.#footprintMethod.delete(plugin);
  }

  countPluginRestart(plugin: string): void {
    this.#plugins.restarts.add({ plugin });
  }

  observeRequest(platform: string, outcome: string, seconds: number): void {
    this.#plugins.requests.add({ platform, outcome });
    this.#plugins.requestSeconds.observe({ platform }, seconds);
  }

  observeTick(seconds: number): void {
    this.#own.tickSeconds.observe({}, seconds);
  }

  countSampleGap(source: string): void {
    this.#own.gaps.add({ source });
  }

  countRefusedSample(reason: string): void {
    this.#own.refusedSamples.add({ reason });
  }

  countStorageWriteFailure(kind: string): void {
    this.#own.writeFailures.add({ kind });
  }

  countLogDrops(lines: number): void {
    this.#own.logDrops.add({}, lines);
  }

  /** The conductor's own memory; null when it could not be read. */
  setProcessMemory(pssBytes: number | null): void {
    this.#own.processMemory.set({}, pssBytes);
  }
}
