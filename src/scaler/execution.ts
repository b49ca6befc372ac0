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

/** A reading of memory that was acted on. */
export interface Seen {
  measured: Measured;
  atMonotonicMs: number;
  /** Since the line was crossed; null: not known. */
  noticedMs: number | null;
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

/** The outcome of one of several that were killed together: told from the reading before its end on. */
export const sinceReading = (outcome: Outcome, before: Measured, after: Measured | null): Outcome => ({
  ...outcome,
  beforeBytes: before.usedBytes,
  actualBytes: difference(after, before),
});

/**
 * What a kill took; null: a plugin that ended by itself took its own time, and of one that was hastened on the way it is not
 * known.
 */
export function reclaimMs({ carried, urgent, durationMs, drainMs }: Outcome): number | null {
  if (!carried.killed) return null;
  if (drainMs === undefined) return urgent ? durationMs : null;
  return urgent ? null : durationMs - drainMs;
}

/** A killed process is gone within some 15 ms; after this the next victim of an emergency is not kept waiting. */
const emergencyPatienceMs = 150;

export class Execution {
  readonly #options: ExecutionOptions;
  /** Those that were struck and are not being shed yet. */
  readonly #signalledMs = new Map<string, number>();
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
    this.#options.actuator.hasten(stopping.plugin);
    this.#options.log.warn("scaler.hastened", { plugin: stopping.plugin, usedBytes });
  }

  /** Resolves when the next victim of an emergency is waited with no longer. */
  patience(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(emergencyPatienceMs, resolve));
  }

  /** Kills these, in their order, before anything else is done; `shed` has to follow for each of them in the same turn. */
  strike(plugins: readonly string[]): void {
    for (const plugin of plugins) {
      this.#options.actuator.strike(plugin);
      this.#signalledMs.set(plugin, this.#options.clock.monotonicMs());
    }
  }

  /**
   * Sheds a plugin and measures what came back. `seen` is the reading that it is shed for. An urgent one is signalled before
   * this first waits, and before anything is measured: what it holds and the use are told as they were last read.
   */
  async shed(
    action: Action,
    reason: string,
    seen: Seen,
  ): Promise<{ outcome: Outcome; measured: Measured | null }> {
    const { actuator, measureNow, log, clock } = this.#options;
    const { plugin, urgent, drainMs } = action;
    if (urgent && !this.#signalledMs.has(plugin)) this.strike([plugin]);
    const signalMs = (this.#signalledMs.get(plugin) ?? clock.monotonicMs()) - seen.atMonotonicMs;
    this.#signalledMs.delete(plugin);
    const expectedBytes = (urgent ? null : actuator.footprintBytes(plugin)) ?? action.expectedBytes;
    const begun = this.#begin(urgent ? seen.measured : measureNow());
    const stopping = { plugin, urgent };
    this.#stopping = stopping;
    const how = { urgent, reason, ...(drainMs === undefined ? {} : { drainMs }) };
    const carried = await actuator.shed(plugin, how).finally(() => {
      if (this.#stopping === stopping) this.#stopping = null;
    });
    const measured = measureNow();
    const outcome: Outcome = {
      ...action,
      urgent: stopping.urgent,
      expectedBytes,
      actualBytes: difference(measured, begun.before),
      ...(seen.noticedMs === null ? {} : { noticedMs: seen.noticedMs }),
      signalMs,
      ...this.#ended(begun, measured),
      carried,
    };
    log[carried.done ? "info" : "error"]("scaler.shed", { ...outcome, carried: undefined, ...carried });
    return { outcome, measured };
  }

  /** Restores a plugin and measures what it took. */
  async restore(action: Action, reason: string): Promise<Outcome> {
    const { actuator, measureNow, log } = this.#options;
    const begun = this.#begin(measureNow());
    const carried = await actuator.restore(action.plugin, reason);
    const measured = measureNow();
    const taken = difference(begun.before, measured);
    const outcome: Outcome = { ...action, actualBytes: taken, ...this.#ended(begun, measured), carried };
    log[carried.done ? "info" : "error"]("scaler.restored", { ...outcome, carried: undefined, ...carried });
    return outcome;
  }

  #begin(before: Measured | null): Begun {
    const { clock } = this.#options;
    return { startedAtMs: clock.nowMs(), monotonicMs: clock.monotonicMs(), before };
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
