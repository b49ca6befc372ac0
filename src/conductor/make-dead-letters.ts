/** What is done with requests that cannot be answered: parked, redriven when their plugin is back, shown in metrics. */

import { every } from "../clock.ts";
import type { EventBus } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { PluginManager } from "../plugins/manager.ts";
import { Idempotency } from "../routing/idempotency.ts";
import { Intake } from "../routing/intake.ts";
import { Parking } from "../routing/parking.ts";
import { Redriver } from "../routing/redrive.ts";
import type { Router } from "../routing/router.ts";
import type { Storage } from "../storage/storage.ts";
import type { Foundation } from "./foundation.ts";
import type { State } from "./make-state.ts";
import { dispatcherOf } from "./plugin-ports.ts";

export interface Letters {
  intake: Intake;
  redriver: Redriver;
  /** Begins to redrive. */
  begin(): void;
}

/** Numbers by state are read this often. */
const gaugeIntervalMs = 5_000;

export function makeDeadLetters(
  foundation: Foundation,
  { storage, metrics }: State,
  manager: PluginManager,
  router: Router,
): Letters {
  const { clock, log, events, startup, loaded } = foundation;
  const { deadLetters: config, plugins } = loaded.config;
  const rules = {
    maxRedrives: config.redrives,
    firstDelayMs: config.backoff.initial,
    maxDelayMs: config.backoff.max,
  };
  const redriver = new Redriver({
    clock,
    log,
    publisher: events,
    letters: storage.deadLetters,
    router,
    dispatcher: dispatcherOf(manager, plugins.startTimeout),
    rules,
    routes: () => foundation.rules,
    ratePerSecond: config.rate,
  });
  startup.onEnd("dead letters", () => redriver.stop());
  recover(foundation, storage, rules.maxRedrives);
  wakeRedriver(events, manager, redriver);
  showDeadLetters(events, metrics, log);
  nameUnknownPlatforms(foundation, manager);
  const begin = () => {
    const showNumbers = numbersOf(storage, metrics, log);
    const gauges = every(clock, gaugeIntervalMs, showNumbers);
    startup.onEnd("numbers of dead letters", () => gauges.cancel());
    showNumbers();
    redriver.start();
  };
  return { intake: makeIntake(foundation, storage, router), redriver, begin };
}

function makeIntake({ clock, events, loaded }: Foundation, storage: Storage, router: Router): Intake {
  const { deadLetters: config, idempotency } = loaded.config;
  const { deadLetters: letters, idempotencyKeys: keys } = storage;
  const { ttl: ttlMs, backoff, onFailure } = config;
  return new Intake({
    router,
    parking: new Parking({ clock, publisher: events, letters, ttlMs, firstDelayMs: backoff.initial }),
    idempotency: new Idempotency({
      clock,
      keys,
      newRequestId: () => crypto.randomUUID(),
      waitMs: idempotency.wait,
    }),
    onFailureOf: (platform) =>
      Object.hasOwn(onFailure, platform) ? (onFailure[platform] ?? "refuse") : "refuse",
  });
}

/** A platform that is spelled wrong would be refused in silence. */
function nameUnknownPlatforms({ log, loaded }: Foundation, manager: PluginManager): void {
  const known = manager.platforms();
  const platforms = Object.keys(loaded.config.deadLetters.onFailure).filter((name) => !known.includes(name));
  if (platforms.length === 0) return;
  log.warn("deadletter.platform_unknown", {
    platforms,
    because: "deadLetters.onFailure names them, but no plugin serves them now",
  });
}

/** Before any request: what an earlier run had under way when it ended is under way no more. */
function recover(
  { clock, log }: Foundation,
  { deadLetters, idempotencyKeys }: Storage,
  maxRedrives: number,
): void {
  const recovered = deadLetters.recover(clock.nowMs(), maxRedrives);
  if (recovered.waiting + recovered.held + recovered.poison > 0)
    log.warn("deadletter.recovered", { ...recovered });
  idempotencyKeys.forgetUnfinished();
}

/** Letters are looked at when they come, when their plugin is ready, and when its breaker closes. */
function wakeRedriver(events: EventBus, manager: PluginManager, redriver: Redriver): void {
  events.on("deadletter.parked", ({ deadLetterId }) => redriver.came(deadLetterId));
  events.on("breaker.changed", ({ platform, to }) => {
    if (to === "closed") redriver.wake(platform);
  });
  events.on("plugin.state", ({ plugin, to }) => {
    if (to === "ready" || to === "degraded") redriver.wake(manager.standing(plugin)?.platform ?? plugin);
  });
}

/** Events into counters and the log. */
function showDeadLetters(events: EventBus, metrics: Metrics, log: Log): void {
  events.on("deadletter.parked", ({ deadLetterId, platform, kind }) => {
    metrics.countParked(kind);
    log.debug("deadletter.parked", { deadLetterId, platform, kind });
  });
  events.on("deadletter.redriven", ({ deadLetterId, platform, outcome, reason }) => {
    metrics.countRedrive(outcome);
    const say = outcome === "poison" || outcome === "held" ? log.warn : log.debug;
    say("deadletter.redriven", { deadLetterId, platform, outcome, reason });
  });
  events.on("deadletter.expired", ({ platform, deadLetters }) => {
    metrics.countExpiredLetters(deadLetters);
    log.warn("deadletter.expired", { platform, deadLetters });
  });
}

/** Shows the numbers by state, and says how many letters left before they were answered. */
function numbersOf({ deadLetterQueries, deadLetters }: Storage, metrics: Metrics, log: Log): () => void {
  let lost = 0;
  return () => {
    const { bytes, left } = deadLetters.held;
    if (left.lost > lost) {
      metrics.countLostLetters(left.lost - lost);
      log.warn("deadletter.lost", {
        letters: left.lost - lost,
        because: "deadLetters.maxCount, maxBytes or maxAge was reached",
      });
      lost = left.lost;
    }
    try {
      const { held: _, ...byState } = deadLetterQueries.counts();
      metrics.setDeadLetters(byState, bytes);
    } catch (error) {
      log.warn("deadletter.not_counted", { error });
    }
  };
}
