/**
 * How what happens is counted: the recording side of every metric in definitions.ts. Base units; bounded labels (64
 * values a label of a metric, then "other"); a value that nobody knows has no series.
 */

import Registry from "prom-client/lib/registry.js";
import type { RedriveOutcome, SwapOutcome } from "../events/events.ts";
import {
  type breakerStates,
  eventMetrics,
  forecastMetrics,
  letterMetrics,
  missionMetrics,
  ownMetrics,
  pluginMetrics,
  qualityMetrics,
  routingMetrics,
  scalingMetrics,
} from "./definitions.ts";
import { ModelMetrics } from "./model-metrics.ts";

export type BreakerState = (typeof breakerStates)[number];
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

/** One platform's places for requests. */
export interface RequestGauges {
  platform: string;
  limit: number;
  inFlight: number;
  queued: number;
}

/** What the rest of the program says happened; how that is counted is known here alone. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #mission = missionMetrics(this.#registry);
  readonly #forecast;
  readonly #quality;
  readonly #scaling = scalingMetrics(this.#registry);
  readonly #plugins;
  readonly #events = eventMetrics(this.#registry);
  readonly #routing = routingMetrics(this.#registry);
  readonly #letters = letterMetrics(this.#registry);
  readonly #own = ownMetrics(this.#registry);
  /** Of local models; their series begin with the first one that is shown. */
  readonly models = new ModelMetrics(this.#registry);
  #requestGauges: () => readonly RequestGauges[] = () => [];
  /** Platforms whose places were shown last. */
  #shownPlatforms: ReadonlySet<string> = new Set();
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
    this.#showRequestGauges();
    return this.#registry.metrics();
  }

  /** `read` is asked at each rendering: these move with every request. */
  followRequestGauges(read: () => readonly RequestGauges[]): void {
    this.#requestGauges = read;
  }

  #showRequestGauges(): void {
    const shown = this.#requestGauges();
    const platforms = new Set(shown.map(({ platform }) => platform));
    for (const platform of this.#shownPlatforms) if (!platforms.has(platform)) this.#forgetPlaces(platform);
    for (const { platform, limit, inFlight, queued } of shown) {
      this.#routing.concurrencyLimit.set({ platform }, limit);
      this.#routing.inFlight.set({ platform }, inFlight);
      this.#routing.queued.set({ platform }, queued);
    }
    this.#shownPlatforms = platforms;
  }

  #forgetPlaces(platform: string): void {
    for (const gauge of [this.#routing.concurrencyLimit, this.#routing.inFlight, this.#routing.queued])
      gauge.forget({ platform }, "platform");
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

  setObserving(observing: boolean): void {
    this.#scaling.observing.set({}, observing ? 1 : 0);
  }

  countShadowReadings(shadow: string, outcome: "agree" | "differ" | "failed", readings = 1): void {
    this.#scaling.shadowReadings.add({ shadow, outcome }, readings);
  }

  countShadowDifference(shadow: string, rule: string): void {
    this.#scaling.shadowDifferences.add({ shadow, rule });
  }

  countPromotion(shadow: string, change: string): void {
    this.#scaling.promotions.add({ shadow, change });
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

  /** What is promised and not taken yet, by the kind of the promise. */
  setReservedMemory(bytesByKind: Readonly<Record<string, number>>): void {
    for (const kind in bytesByKind) this.#scaling.reserved.set({ kind }, bytesByKind[kind] ?? null);
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

  /** Takes the states, instances and footprints of a plugin that is no more; what was counted stays. */
  forgetPlugin(plugin: string): void {
    this.#plugins.pluginState.forget({ plugin }, "plugin");
    this.#plugins.instances.forget({ plugin }, "plugin");
    const method = this.#footprintMethod.get(plugin);
    if (method !== undefined) this.#plugins.footprint.forget({ plugin, method }, "plugin");
    this.#footprintMethod.delete(plugin);
  }

  countPluginRestart(plugin: string): void {
    this.#plugins.restarts.add({ plugin });
  }

  /** Processes of a plugin that run now; null when it is not known. */
  setPluginInstances(plugin: string, running: number | null): void {
    this.#plugins.instances.set({ plugin }, running);
  }

  countPluginSwap(plugin: string, outcome: SwapOutcome): void {
    this.#plugins.swaps.add({ plugin, outcome });
  }

  observeRequest(platform: string, outcome: string, seconds: number): void {
    this.#plugins.requests.add({ platform, outcome });
    this.#plugins.requestSeconds.observe({ platform }, seconds);
  }

  countEvent(event: string): void {
    this.#events.events.add({ event });
  }

  /** A subscriber lost one event since it did not keep up. */
  countEventDrops(subscriber: string): void {
    this.#events.drops.add({ subscriber });
  }

  countWebhookDelivery(outcome: string, events = 1): void {
    this.#events.deliveries.add({ outcome }, events);
  }

  countRetry(platform: string, outcome: string): void {
    this.#routing.retries.add({ platform, outcome });
  }

  countFallback(platform: string): void {
    this.#routing.fallbacks.add({ platform });
  }

  observeHealthTick(seconds: number): void {
    this.#own.healthTickSeconds.observe({}, seconds);
  }

  countParked(kind: string): void {
    this.#letters.parked.add({ kind });
  }

  countRedrive(outcome: RedriveOutcome): void {
    this.#letters.redrives.add({ outcome });
  }

  countExpiredLetters(letters: number): void {
    this.#letters.expired.add({}, letters);
  }

  countLostLetters(letters: number): void {
    this.#letters.lost.add({}, letters);
  }

  setDeadLetters(byState: Readonly<Record<string, number>>, bytes: number): void {
    for (const state in byState) this.#letters.letters.set({ state }, byState[state] ?? null);
    this.#letters.letterBytes.set({}, bytes);
  }

  observeTick(seconds: number): void {
    this.#own.tickSeconds.observe({}, seconds);
  }

  observeReflexLate(seconds: number): void {
    this.#own.reflexLateSeconds.observe({}, seconds);
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
