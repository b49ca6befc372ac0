/** The composition root: makes every part, hands each the ports it needs, starts them in order, ends them in reverse. */

import { disabledStoreOf } from "./conductor/disabled-store.ts";
import { drain, drainMs, endMs } from "./conductor/draining.ts";
import type { ConductorOptions, Foundation } from "./conductor/foundation.ts";
import { beginHousekeeping } from "./conductor/housekeeping.ts";
import { makeDeadLetters } from "./conductor/make-dead-letters.ts";
import { openWebhooks } from "./conductor/make-events.ts";
import { beginHealth, makeHealth, openPlatforms } from "./conductor/make-health.ts";
import { type Memory, makeMemory, sayThatNothingIsDone } from "./conductor/make-memory.ts";
import type { Models } from "./conductor/make-models.ts";
import { type Later, openPlugins } from "./conductor/make-plugins.ts";
import { makeRouter, openHttp } from "./conductor/make-routing.ts";
import { makeShadows } from "./conductor/make-shadows.ts";
import { openState, type State } from "./conductor/make-state.ts";
import { lockCode } from "./conductor/resident-code.ts";
import { Startup } from "./conductor/startup.ts";
import type { Config } from "./config/schema.ts";
import { EventBus } from "./events/bus.ts";
import { EventLog } from "./events/event-log.ts";
import type { PluginManager } from "./plugins/manager.ts";
import { compileRules } from "./routing/rules.ts";
import { RouteStatistics } from "./routing/statistics.ts";
import { policyOf } from "./scaler/policy.ts";

export interface RunningConductor {
  url: string;
  /** Takes over the scaler's policy and mode, the shadow policies and the routing rules; other settings wait for a restart. */
  reconfigure(config: Config): void;
  /** Counts lines that the log had no room for. */
  countLogDrops(lines: number): void;
  /** Drains and ends everything, within 10 s. */
  stop(): Promise<void>;
}

/**
 * Starts everything in order: configuration and plugins, database and metrics, health loop, platforms with their
 * breakers, routing; then the plugins' processes. Throws StartupError, with nothing left running.
 */
export async function startConductor(options: ConductorOptions): Promise<RunningConductor> {
  const { clock, log, loaded } = options;
  const startup = new Startup(log);
  const events = new EventBus(clock, log);
  const foundation: Foundation = {
    ...options,
    startup,
    events,
    eventLog: new EventLog(events),
    startedAtMs: clock.nowMs(),
    startedMonotonicMs: clock.monotonicMs(),
    random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
    policy: policyOf(loaded.config.scaler),
    rules: compileRules(loaded.config.routing.rules),
    statistics: new RouteStatistics(),
    waitingFor: "the plugins are starting",
  };
  const later: Later = { metrics: null, scaler: null, disabled: null, stateFolder: null };
  // What runs no models does not hold their code either.
  const modelling = loaded.config.models.length > 0 ? await import("./conductor/make-models.ts") : null;
  const manager = await startup.step("configuration and plugins", () =>
    openPlugins(foundation, later, (opened) => modelling?.registerModels(loaded.config.models, opened)),
  );
  const state = await startup.step("database and metrics", () => openState(foundation));
  later.metrics = state.metrics;
  later.disabled = disabledStoreOf(state.storage, log);
  const webhooks = await startup.step("webhooks", () => openWebhooks(foundation, state));
  const policies = await startup.step("shadow policies", () => makeShadows(foundation, state));
  const memory = makeMemory(foundation, state, manager, policies);
  policies.drive(memory.scaler);
  later.stateFolder = state.stateFolder;
  later.scaler = memory.scaler;
  const health = makeHealth(foundation, state, manager, memory);
  await startup.step("health loop", () => beginHealth(foundation, state, manager, health));
  await startup.step("platforms", () => openPlatforms(foundation, state, manager, health));
  // After the plugins have ended, so that a decision that was being carried out is recorded with its outcome.
  startup.onEnd("scaler", () => memory.scaler.stop());
  manager.holdDisabled();
  let mayRun = false; // Where not even the server could be started, there is nothing to end and nothing to log.
  let closeHttp = (): Promise<void> | void => undefined;
  startup.onEnd("http", () => closeHttp());
  let toldToEndMs: number | null = null;
  startup.onEnd("plugins", () => {
    const usedMs = toldToEndMs === null ? 0 : clock.monotonicMs() - toldToEndMs;
    return mayRun ? endPlugins(foundation, manager, endMs - usedMs) : undefined;
  });
  const models = await startup.step("models", () =>
    modelling?.makeModels(foundation, state, manager, memory),
  );
  startup.onEnd("models", () => models?.close());
  const router = makeRouter(foundation, state, manager, health, memory);
  const letters = makeDeadLetters(foundation, state, manager, router);
  const { url, stop } = await startup.step("routing", () =>
    openHttp(
      foundation,
      state,
      manager,
      health,
      memory,
      policies,
      router,
      webhooks,
      letters,
      models?.serving ?? null,
    ),
  );
  closeHttp = () => stop(true);
  mayRun = true;
  letters.begin();
  await startup.step("monitor", () => memory.begin());
  beginHousekeeping(foundation);
  log.info("http.listening", { url });
  startup.onEnd("requests", () => drain(router, clock, drainMs(loaded.config.plugins.grace)));
  // Requests that were waiting are answered first: starting processes blocks for some milliseconds each.
  const starting = clock.after(1, () => void startPlugins(foundation, manager, models));
  startup.onEnd("start of the plugins", () => starting.cancel());
  return {
    url,
    reconfigure: (config) => {
      policies.configure(config);
      foundation.rules = compileRules(config.routing.rules);
      setMode(foundation, state, memory, config.scaler.mode);
      log.info("conductor.reloaded", {
        taken: "scaler, shadow, routing",
        rest: "other settings wait for a restart",
      });
    },
    countLogDrops: (lines) => state.metrics.countLogDrops(lines),
    stop: async () => {
      foundation.waitingFor = "conductor is stopping";
      toldToEndMs = clock.monotonicMs();
      // Beside the requests, so that both have the time that there is.
      void models?.close();
      router.close();
      letters.redriver.pause();
      await startup.unwind();
    },
  };
}

/** Says it only when it changes. */
function setMode(
  { log }: Foundation,
  { metrics }: State,
  { scaler }: Memory,
  mode: Config["scaler"]["mode"],
): void {
  if (scaler.status().mode === mode) return;
  scaler.setMode(mode);
  metrics.setObserving(mode === "observe");
  if (mode === "observe") sayThatNothingIsDone(log);
  else log.warn("scaler.acting", { detail: "plugins are shed and restored from now on" });
}

/** Starts the eager plugins, then the models; one that fails does not keep conductor from being ready. */
async function startPlugins(
  foundation: Foundation,
  manager: PluginManager,
  models: Models | undefined,
): Promise<void> {
  const { log, clock, startedMonotonicMs } = foundation;
  const locked = lockCode();
  if (!locked.ok)
    log.info("conductor.code_not_locked", {
      because: locked.because,
      remedy:
        "run as root or with LimitMEMLOCK=infinity, so that conductor's program stays in memory when that is short",
    });
  try {
    await manager.startAll();
  } catch (error) {
    log.error("conductor.plugins_failed", { error });
    foundation.waitingFor = `the plugins could not be started: ${error instanceof Error ? error.message : error}`;
    return;
  }
  foundation.waitingFor = null;
  models?.begin();
  const plugins = manager.list().map(({ name, state }) => `${name}: ${state}`);
  log.info("conductor.ready", { plugins, startMs: Math.round(clock.monotonicMs() - startedMonotonicMs) });
}

async function endPlugins({ log }: Foundation, manager: PluginManager, withinMs: number): Promise<void> {
  const { gone } = await manager.shutdown(withinMs);
  if (!gone)
    log.error("plugins.left", { detail: "some processes would not end; the guard goes on killing them" });
}
