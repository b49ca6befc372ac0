/** Steps "health loop" and "platforms": who is asked how it is, and which platforms may be called. */

import { Breakers } from "../health/breakers.ts";
import { HealthMonitor } from "../health/monitor.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { Policy } from "../scaler/situation.ts";
import { breakerRecorderOf, restoreBreakers } from "./breaker-store.ts";
import { showBreakers, showPluginEvents } from "./feeds.ts";
import type { Foundation } from "./foundation.ts";
import type { Memory } from "./make-memory.ts";
import type { State } from "./make-state.ts";
import { breakerResetOf, probeOf } from "./plugin-ports.ts";

export function makeHealth(
  foundation: Foundation,
  state: State,
  manager: PluginManager,
  { scaler }: Pick<Memory, "scaler">,
) {
  const { metrics, storage } = state;
  const { loaded, clock, log, events } = foundation;
  const { breaker, health: limits } = loaded.config;
  const breakers = new Breakers({
    clock,
    events,
    recorder: breakerRecorderOf(storage, clock),
    failures: breaker.failures,
    thresholds: breaker.thresholds,
    resetMs: breaker.reset,
    resetMsOf: breakerResetOf(manager, breaker.reset),
    mostResetMs: breaker.mostReset,
    stableMs: breaker.stable,
  });
  const health = new HealthMonitor({
    clock,
    log,
    events,
    probe: probeOf(manager),
    observers: [
      breakers,
      {
        checked: ({ platform, status, failure, durationSeconds }) => {
          if (durationSeconds !== null) metrics.observeHealthCheck(platform, status, durationSeconds);
          if (failure === null || failure === "exited") return;
          metrics.countPluginFailure(platform, `health_${failure.replaceAll("-", "_")}`);
        },
      },
    ],
    intervalMs: limits.interval,
    timeoutMs: limits.timeout,
    slowMs: limits.slow,
    failures: limits.failures,
    seed: process.pid,
    sparse: sparseUnderStrain(
      () => scaler.status().measured,
      () => foundation.policy,
    ),
    beaten: (seconds) => metrics.observeHealthTick(seconds),
  });
  return { breakers, health };
}

/**
 * While memory is over the shed line, the first half of the degradation order is checked less often: what may be shed next
 * is not worth as much of a strained host as what is to stay.
 */
export function sparseUnderStrain(
  measured: () => { usedBytes: number; budgetBytes: number } | null,
  policy: () => Pick<Policy, "order" | "shedRatio">,
): (plugin: string) => boolean {
  return (plugin) => {
    const now = measured();
    const { order, shedRatio } = policy();
    if (now === null || now.usedBytes < shedRatio * now.budgetBytes) return false;
    // One that is not in the order is shed before all that are.
    return order.indexOf(plugin) < Math.floor(order.length / 2);
  };
}

export type Health = ReturnType<typeof makeHealth>;

/** Begins to check, and lets the plugins' events into gauges and health. */
export function beginHealth(
  { startup, events, log }: Foundation,
  { metrics }: State,
  manager: PluginManager,
  { health, breakers }: Health,
): void {
  showPluginEvents({ events, manager, metrics, health, breakers, log });
  health.start();
  startup.onEnd("health", () => health.stop());
}

/** A breaker for each platform: as it was before the restart, else closed. */
export function openPlatforms(
  { startup, events, log }: Foundation,
  { metrics, storage }: State,
  manager: PluginManager,
  { breakers }: Health,
): void {
  showBreakers(events, metrics);
  const open = () => {
    const platforms = new Set(manager.platforms());
    const known = new Set(breakers.list().map(({ platform }) => platform));
    breakers.retain(platforms);
    for (const platform of platforms) {
      if (known.has(platform)) continue;
      breakers.get(platform);
      metrics.setBreakerState(platform, "closed");
    }
  };
  open();
  restoreBreakers(breakers, storage, log);
  events.on("plugin.listed", open);
  events.on("plugin.swapped", open);
  startup.onEnd("breakers", () => breakers.stop());
}
