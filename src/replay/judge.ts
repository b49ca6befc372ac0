/** Who decides on a simulated host: what a simulation needs of a policy, and what it tells it. */

import type { Verdict } from "../scaler/situation.ts";
import type { SimulatedHost } from "./host.ts";
import type { SimulatedPlugin, SimulatedState } from "./simulated-plugin.ts";

/** What to do now, or nothing (no actions). */
export interface Orders extends Pick<Verdict, "rule" | "reason" | "actions"> {
  /** Victims are started again after so long, as a supervisor does it; absent: only a restore brings them back. */
  restartAfterMs?: number;
}

export interface Judge {
  /** A restore needs the use at or under this share of the budget; -Infinity: it restores nothing. */
  readonly restoreRatio: number;
  /** From this share on a gentle stop is made a kill; Infinity: never. */
  readonly emergencyRatio: number;
  /** A moment at which it wants to look again though memory did not move; Infinity: none. */
  readonly wakeAtMs: number;
  /** The host, before anything happens. */
  watch(host: SimulatedHost): void;
  /** Each sampling interval. */
  onSample(): void;
  /** Memory was read. */
  onReading(): Orders;
  /** The share of the budget from which a reading may shed while the use grows by so many bytes a second. */
  alertRatio(bytesPerSecond: number): number;
  /** Milliseconds from a reading to the next; `growthPerSecond` is a share of the budget. */
  delayMs(usedRatio: number, growthPerSecond: number): number;
  onState(plugin: SimulatedPlugin, state: SimulatedState): void;
  mayStart(plugin: SimulatedPlugin): boolean;
  shedBegins(): void;
  shedDone(plugin: SimulatedPlugin, durationMs: number): void;
  restoreBegins(plugin: SimulatedPlugin): void;
  restoreDone(plugin: SimulatedPlugin, ready: boolean): void;
}

/** Nothing is done: what runs without protection. */
export class NoProtection implements Judge {
  readonly restoreRatio: number = Number.NEGATIVE_INFINITY;
  readonly emergencyRatio: number = Number.POSITIVE_INFINITY;
  readonly wakeAtMs: number = Number.POSITIVE_INFINITY;
  watch(_host: SimulatedHost): void {}
  onSample(): void {}
  onReading(): Orders {
    return { rule: "hold", reason: "nobody looks", actions: [] };
  }
  alertRatio(_bytesPerSecond: number): number {
    return Number.POSITIVE_INFINITY;
  }
  delayMs(_usedRatio: number, _growthPerSecond: number): number {
    return Number.POSITIVE_INFINITY;
  }
  onState(_plugin: SimulatedPlugin, _state: SimulatedState): void {}
  mayStart(_plugin: SimulatedPlugin): boolean {
    return true;
  }
  shedBegins(): void {}
  shedDone(_plugin: SimulatedPlugin, _durationMs: number): void {}
  restoreBegins(_plugin: SimulatedPlugin): void {}
  restoreDone(_plugin: SimulatedPlugin, _ready: boolean): void {}
}
