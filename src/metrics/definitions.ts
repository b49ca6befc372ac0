/** Every metric: its name, its help and its labels, by subject. Names and units are what dashboards and alerts rely on. */

import type Registry from "prom-client/lib/registry.js";
import { BoundedCounter, BoundedGauge, BoundedHistogram, StateGauge } from "./bounded-metrics.ts";

export const breakerStates = ["closed", "open", "half_open"] as const;
/** From a local call to the timeouts of a health check and a request. */
const answerBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30];
/** A tick aims at under 5 ms and may take 200. */
const tickBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1];
const lateBucketsSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5];

const of = <Name extends string>(name: string, help: string, ...labels: Name[]) => ({ name, help, labels });

/** The names that the mission gives. */
export const missionMetrics = (registry: Registry) => ({
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

export const qualityMetrics = (registry: Registry, calibrations: readonly string[]) => ({
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

export const forecastMetrics = (registry: Registry, states: readonly string[]) => ({
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

export const scalingMetrics = (registry: Registry) => ({
  decisions: new BoundedCounter(
    registry,
    of("conductor_scaling_decisions_total", "Scaling decisions by rule and outcome.", "rule", "outcome"),
  ),
  observing: new BoundedGauge(
    registry,
    of("conductor_scaler_observing", "1 while it is only recorded what would be done, 0 while it is done."),
  ),
  shadowReadings: new BoundedCounter(
    registry,
    of(
      "conductor_shadow_readings_total",
      "Readings on which a shadow policy agreed with the acting one, differed, or failed.",
      "shadow",
      "outcome",
    ),
  ),
  shadowDifferences: new BoundedCounter(
    registry,
    of(
      "conductor_shadow_differences_total",
      "Decisions of a shadow policy that differ, by its rule.",
      "shadow",
      "rule",
    ),
  ),
  promotions: new BoundedCounter(
    registry,
    of("conductor_promotions_total", "Changes of which policy acts.", "shadow", "change"),
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
  reserved: new BoundedGauge(
    registry,
    of(
      "conductor_memory_reserved_bytes",
      "Memory that is promised and not taken yet: to starts, second copies and leases.",
      "kind",
    ),
  ),
});

export const pluginMetrics = (registry: Registry, states: readonly string[]) => ({
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
  instances: new BoundedGauge(
    registry,
    of("conductor_plugin_instances", "Processes of the plugin that run now.", "plugin"),
  ),
  swaps: new BoundedCounter(
    registry,
    of(
      "conductor_plugin_swaps_total",
      "Replacements of a running plugin by a new copy, by what came of them.",
      "plugin",
      "outcome",
    ),
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

export const eventMetrics = (registry: Registry) => ({
  events: new BoundedCounter(registry, of("conductor_events_total", "Events by name.", "event")),
  drops: new BoundedCounter(
    registry,
    of(
      "conductor_event_drops_total",
      "Events that a subscriber lost since it did not keep up.",
      "subscriber",
    ),
  ),
  deliveries: new BoundedCounter(
    registry,
    of(
      "conductor_webhook_deliveries_total",
      "Attempts to deliver an event to a webhook, now or later, and what could not be delivered, by what came of it.",
      "outcome",
    ),
  ),
});

export const letterMetrics = (registry: Registry) => ({
  letters: new BoundedGauge(registry, of("conductor_dead_letters", "Dead letters by their state.", "state")),
  letterBytes: new BoundedGauge(
    registry,
    of("conductor_dead_letters_bytes", "What the dead letters of every state take."),
  ),
  parked: new BoundedCounter(
    registry,
    of("conductor_dead_letters_total", "Requests that were kept, by why they were not answered.", "kind"),
  ),
  redrives: new BoundedCounter(
    registry,
    of("conductor_redrives_total", "Dead letters that were sent again, by what came of it.", "outcome"),
  ),
  expired: new BoundedCounter(
    registry,
    of("conductor_dead_letters_expired_total", "Dead letters whose time to live was over."),
  ),
  lost: new BoundedCounter(
    registry,
    of(
      "conductor_dead_letters_lost_total",
      "Dead letters that left by the bounds before they were answered.",
    ),
  ),
});

export const routingMetrics = (registry: Registry) => ({
  retries: new BoundedCounter(
    registry,
    of(
      "conductor_retries_total",
      "Requests whose first try failed and that might be repeated, by what came of that.",
      "platform",
      "outcome",
    ),
  ),
  fallbacks: new BoundedCounter(
    registry,
    of(
      "conductor_fallbacks_total",
      "Requests that a fallback answered in place of the platform.",
      "platform",
    ),
  ),
  concurrencyLimit: new BoundedGauge(
    registry,
    of("conductor_concurrency_limit", "Requests that the platform is given at once.", "platform"),
  ),
  inFlight: new BoundedGauge(
    registry,
    of("conductor_requests_in_flight", "Requests that the platform works on now.", "platform"),
  ),
  queued: new BoundedGauge(
    registry,
    of("conductor_request_queue", "Requests that wait for the platform now.", "platform"),
  ),
});

export const ownMetrics = (registry: Registry) => ({
  build: new BoundedGauge(
    registry,
    of("conductor_build_info", "Always 1; the labels say what runs.", "version", "commit", "kernel"),
  ),
  tickSeconds: new BoundedHistogram(
    registry,
    of("conductor_tick_duration_seconds", "Time that one tick of the loop took."),
    tickBucketsSeconds,
  ),
  reflexLateSeconds: new BoundedHistogram(
    registry,
    of(
      "conductor_reflex_late_seconds",
      "By how much a reading of memory came later than it was due: conductor was busy, or had no turn at the processors.",
    ),
    lateBucketsSeconds,
  ),
  healthTickSeconds: new BoundedHistogram(
    registry,
    of("conductor_health_tick_seconds", "Time that one beat of the health loop took, without the answers."),
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
