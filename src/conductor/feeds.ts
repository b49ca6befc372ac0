/** What happens, into metrics, statistics and the health monitor. */

import type { EventBus } from "../events/bus.ts";
import type { Breakers } from "../health/breakers.ts";
import type { HealthMonitor } from "../health/monitor.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { AttemptFailure, RouteObserver } from "../routing/outcome.ts";
import type { RouteStatistics } from "../routing/statistics.ts";
import type { Storage } from "../storage/storage.ts";
import type { MemoryWatch } from "./memory-watch.ts";

/** Attempts that are the plugin's own failure. A crash is counted by its exit. */
const ownFailures: ReadonlySet<AttemptFailure | "answered"> = new Set([
  "plugin-error",
  "timeout",
  "bad-answer",
] as const);

/** Counts requests by outcome, and the failures of the plugins that were tried. */
export function observeRoutes(metrics: Metrics): RouteObserver {
  return {
    routed: (outcome) => {
      // Without an attempt nobody looked whether there is such a platform: any text may stand there.
      const platform = outcome.attempts.length > 0 ? outcome.platform : "unknown";
      const label = outcome.kind === "refused" ? outcome.code : outcome.degraded ? "fallback" : "answered";
      metrics.observeRequest(platform, label, outcome.durationMs / 1_000);
      if (outcome.kind === "answered" && outcome.degraded) metrics.countFallback(platform);
      const [first] = outcome.attempts;
      if (first && ownFailures.has(first.outcome))
        metrics.countPluginFailure(platform, first.outcome.replaceAll("-", "_"));
    },
  };
}

/** Shows each breaker's moves. */
export function showBreakers(events: EventBus, metrics: Metrics): void {
  events.on("breaker.changed", ({ platform, to }) => {
    if (to === "closed" || to === "open") metrics.setBreakerState(platform, to);
    else metrics.setBreakerState(platform, "half_open");
  });
}

interface PluginEventParts {
  events: EventBus;
  manager: PluginManager;
  metrics: Metrics;
  health: HealthMonitor;
  breakers: Breakers;
  log: Log;
}

/** Life cycle events into gauges, counters, the health monitor, the breakers and the log. */
export function showPluginEvents(parts: PluginEventParts): void {
  const { events, manager, metrics, health, breakers, log } = parts;
  for (const { name, state } of manager.standings()) metrics.setPluginState(name, state);
  events.on("plugin.state", ({ plugin, from, to }) => {
    metrics.setPluginState(plugin, to);
    if (to === "starting" && (from === "failed" || from === "crash-loop")) metrics.countPluginRestart(plugin);
    health.refresh();
    if (from === "starting" && to === "ready")
      breakers.pluginStarted(manager.standing(plugin)?.platform ?? plugin);
  });
  events.on("plugin.exit", ({ plugin, expected, exitCode, signal, outOfMemory, remaining }) => {
    if (expected) return;
    const errorType = outOfMemory ? "out_of_memory" : "crash";
    metrics.countPluginFailure(manager.standing(plugin)?.platform ?? plugin, errorType);
    if (remaining > 0) return; // Others of it go on answering.
    const detail =
      manager.view(plugin)?.lastExit?.text ?? `its process ended (${signal ?? `exit code ${exitCode}`})`;
    health.processExited(plugin, detail);
  });
  events.on("plugin.listed", ({ plugin, present }) => {
    if (present) metrics.setPluginState(plugin, manager.standing(plugin)?.state ?? "discovered");
    else metrics.forgetPlugin(plugin);
    health.refresh();
  });
  events.on("plugin.instances", ({ plugin, instances }) => metrics.setPluginInstances(plugin, instances));
  events.on("plugin.swapped", ({ plugin, outcome }) => metrics.countPluginSwap(plugin, outcome));
  events.on("plugin.log", ({ plugin, stream, line }) => log.info("plugin.log", { plugin, stream, line }));
}

interface IntegrationParts {
  atMs: number;
  manager: PluginManager;
  watch: MemoryWatch;
  statistics: RouteStatistics;
  storage: Storage;
}

/** The last minute of every platform, one without requests too, as rows of `integration_metrics`. */
export function writeIntegrationMetrics({
  atMs,
  manager,
  watch,
  statistics,
  storage,
}: IntegrationParts): void {
  const traffic = new Map(statistics.drain().map((row) => [row.platform, row]));
  const bytes = new Map<string, number | null>();
  for (const { name, platform } of manager.standings()) {
    const footprint = watch.footprintOf(name);
    const before = bytes.get(platform) ?? null;
    bytes.set(platform, footprint ? (before ?? 0) + footprint.bytes : before);
  }
  // What a busy router refused at its door may name any platform: only those that there are get a row.
  const platforms = new Set([...bytes.keys(), ...(traffic.has("other") ? ["other"] : [])]);
  storage.integrationMetrics.insert(
    [...platforms].map((platformName) => {
      const row = traffic.get(platformName);
      return {
        timestampMs: atMs,
        platformName,
        responseTimeMs: row?.averageResponseTimeMs ?? null,
        errorCount: row?.errorCount ?? 0,
        requestCount: row?.requestCount ?? 0,
        resourceUsageBytes: bytes.get(platformName) ?? null,
      };
    }),
  );
}
