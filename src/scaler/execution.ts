/** Carries single actions out: measured right before and right after, one victim at a time. */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Actuator, MeasureNow, Outcome } from "./ports.ts";
import type { Action, Measured } from "./situation.ts";

export interface ExecutionOptions {
  clock: Clock;
  log: Log;
  actuator: Actuator;
  measureNow: MeasureNow;
}

/** What is measured before an action, for comparison after it. */
interface Begun {
  startedAtMs: number;
  monotonicMs: number;
  before: Measured | null;
}

/** Bytes that `to` has over `from`; null when one is missing or they are of different scopes (host, cgroup). */
function difference(from: Measured | null, to: Measured | null): number | null {
  if (!from || !to || (from.cgroup ?? null) !== (to.cgroup ?? null)) return null;
  return to.usedBytes - from.usedBytes;
}

export class Execution {
  readonly #options: ExecutionOptions;
  #stopping: { plugin: string; urgent: boolean } | null = null;

  constructor(options: ExecutionOptions) {
    this.#options = options;
  }

  /** The plugin that is being stopped. */
  get stopping(): string | null {
    return this.#stopping?.plugin ?? null;
  }

  /** Kills at once what is still being stopped gently. */
  hasten({ usedBytes }: Measured): void {
    const stopping = this.#stopping;
    if (!stopping || stopping.urgent) return;
    stopping.urgent = true;
    this.#options.log.warn("scaler.hastened", { plugin: stopping.plugin, usedBytes });
    this.#options.actuator.hasten(stopping.plugin);
  }

  /** Sheds a plugin and measures what came back. An urgent one is signalled before this first waits. */
  async shed(action: Action, reason: string): Promise<{ outcome: Outcome; measured: Measured | null }> {
    const { actuator, measureNow, log } = this.#options;
    const expectedBytes = actuator.footprintBytes(action.plugin) ?? action.expectedBytes;
    const begun = this.#begin();
    const stopping = { plugin: action.plugin, urgent: action.urgent };
    this.#stopping = stopping;
    const { urgent, drainMs } = action;
    const how = { urgent, reason, ...(drainMs === undefined ? {} : { drainMs }) };
    const carried = await actuator.shed(action.plugin, how).finally(() => {
      this.#stopping = null;
    });
    const measured = measureNow();
    const outcome: Outcome = {
      ...action,
      urgent: stopping.urgent,
      expectedBytes,
      actualBytes: difference(measured, begun.before),
      ...this.#ended(begun, measured),
      carried,
    };
    log[carried.done ? "info" : "error"]("scaler.shed", { ...outcome, carried: undefined, ...carried });
    return { outcome, measured };
  }

  /** Restores a plugin and measures what it took. */
  async restore(action: Action, reason: string): Promise<Outcome> {
    const { actuator, measureNow, log } = this.#options;
    const begun = this.#begin();
    const carried = await actuator.restore(action.plugin, reason);
    const measured = measureNow();
    const taken = difference(begun.before, measured);
    const outcome: Outcome = { ...action, actualBytes: taken, ...this.#ended(begun, measured), carried };
    log[carried.done ? "info" : "error"]("scaler.restored", { ...outcome, carried: undefined, ...carried });
    return outcome;
  }

  #begin(): Begun {
    const { clock, measureNow } = this.#options;
    return { startedAtMs: clock.nowMs(), monotonicMs: clock.monotonicMs(), before: measureNow() };
  }

  #ended({ startedAtMs, monotonicMs, before }: Begun, after: Measured | null) {
    return {
      startedAtMs,
      durationMs: this.#options.clock.monotonicMs() - monotonicMs,
      beforeBytes: before?.usedBytes ?? null,
      afterBytes: after?.usedBytes ?? null,
    };
  }
}
