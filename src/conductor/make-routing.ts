/** Step "routing": from a request to a plugin, and the HTTP server in front of it. */

import { every } from "../clock.ts";
import { createApp } from "../http/app.ts";
import { type HttpServer, listen } from "../http/server.ts";
import type { ModelServing } from "../models/serving.ts";
import type { PluginManager } from "../plugins/manager.ts";
import { Bulkheads } from "../routing/bulkheads.ts";
import { Retrying } from "../routing/retrying.ts";
import { Router } from "../routing/router.ts";
import type { Webhooks } from "../webhooks/webhooks.ts";
import { observeRoutes, writeIntegrationMetrics } from "./feeds.ts";
import type { Foundation } from "./foundation.ts";
import type { Letters } from "./make-dead-letters.ts";
import type { Health } from "./make-health.ts";
import type { Memory } from "./make-memory.ts";
import { fallbackPlatforms } from "./make-plugins.ts";
import type { ShadowPolicies } from "./make-shadows.ts";
import type { State } from "./make-state.ts";
import { keepLogs } from "./plugin-logs.ts";
import { boundsOf, dispatcherOf, heldPluginsOf } from "./plugin-ports.ts";

const minuteMs = 60_000;

/** Routes requests, and writes each minute's counts to `integration_metrics`. */
export function makeRouter(
  foundation: Foundation,
  { metrics, storage }: State,
  manager: PluginManager,
  { breakers }: Health,
  { watch }: Memory,
): Router {
  const { clock, log, startup, statistics } = foundation;
  const minute = every(clock, minuteMs, () =>
    writeIntegrationMetrics({ atMs: clock.nowMs(), manager, watch, statistics, storage }),
  );
  startup.onEnd("statistics", () => minute.cancel());
  const { plugins, routing } = foundation.loaded.config;
  const bulkheads = new Bulkheads(dispatcherOf(manager, plugins.startTimeout), {
    clock,
    kind: routing.concurrency.kind,
    limit: routing.concurrency.limit ?? null,
    boundsOf: boundsOf(manager),
  });
  metrics.followRequestGauges(() => bulkheads.views());
  return new Router({
    clock,
    log,
    dispatcher: bulkheads,
    breakers,
    retrying: new Retrying({
      clock,
      budgetRatio: routing.retries.budget,
      most: routing.retries.most,
      random: foundation.random,
      counted: (platform, outcome) => metrics.countRetry(platform, outcome),
    }),
    fallbacks: () => fallbackPlatforms(manager, foundation.policy),
    rules: () => foundation.rules,
    newRequestId: () => crypto.randomUUID(),
    observers: [statistics, observeRoutes(metrics)],
  });
}

/** Listens. Throws ListenError with the remedy. */
export function openHttp(
  foundation: Foundation,
  state: State,
  manager: PluginManager,
  { breakers, health }: Health,
  { watch, window, gaps, reflex, scaler, forecastReport }: Memory,
  policies: ShadowPolicies,
  router: Router,
  webhooks: Webhooks,
  { intake, redriver }: Letters,
  models: ModelServing | null,
): HttpServer {
  const { clock, log, loaded, startedAtMs } = foundation;
  const { config } = loaded;
  const { host, port, allowedHosts } = config.http;
  const app = createApp(
    {
      clock,
      log,
      config,
      policy: () => foundation.policy,
      startedAtMs,
      router,
      intake,
      redriver,
      health,
      breakers,
      storage: state.storage,
      metrics: state.metrics,
      manager,
      events: foundation.eventLog,
      webhooks,
      logs: keepLogs(foundation.events),
      // The last one measured of a plugin that has ended since is no longer true.
      footprintOf: (plugin) => (heldPluginsOf(manager).has(plugin) ? watch.footprintOf(plugin) : null),
      window,
      gaps: () => gaps.counts(),
      reflexDelayMs: () => reflex.delayMs,
      forecast: state.forecast,
      forecastAnomalies: () => forecastReport.anomalies(),
      kernelFellBackBecause: state.kernelFellBackBecause,
      scaler,
      shadows: policies,
      models,
      notReadyBecause: () => foundation.waitingFor,
    },
    { host, port: () => server.port, allowedHosts, token: state.token },
  );
  const server = listen(app, host, port);
  return server;
}
