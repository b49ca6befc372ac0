/**
 * A simulated host: a base, plugins on top, a kernel that kills the largest when the budget is exceeded. It moves from knot
 * to knot, so that what happens does not depend on how often somebody looks.
 */

import type { Curve, Life } from "./curve.ts";
import { type PluginModel, SimulatedPlugin, type SimulatedState } from "./simulated-plugin.ts";

export interface HostModel {
  budgetBytes: number;
  /** What everything but the plugins holds. */
  base: Curve;
  plugins: readonly PluginModel[];
  beginMs: number;
  endMs: number;
}

export interface HostListener {
  onState(plugin: SimulatedPlugin, state: SimulatedState): void;
  /** Null: nothing of ours was left, the kernel killed something of the base. */
  onKill(plugin: SimulatedPlugin | null): void;
  /** Whether a plugin that was killed may start again now. */
  mayStart(plugin: SimulatedPlugin): boolean;
}

/** A killed plugin is started again after so long, and where it may not, asked for again. */
export const restartMs = 3_000;
/** What of the base is killed comes back: the kernel is not counted more often than this for it. */
const baseKillMs = 60_000;
/** Memory over this share of the budget is told in every report, whatever the policy's own lines are. */
export const criticalRatio = 0.95;

export class SimulatedHost {
  readonly plugins: readonly SimulatedPlugin[];
  readonly budgetBytes: number;
  nowMs: number;
  usedBytes = 0;
  /** Milliseconds at or over `criticalRatio`. */
  criticalMs = 0;
  readonly #base: Curve;
  readonly #baseLife: Life;
  readonly #restarts = new Map<SimulatedPlugin, number>();
  #baseSparedUntilMs = Number.NEGATIVE_INFINITY;
  #listener: HostListener;

  constructor({ budgetBytes, base, plugins, beginMs }: HostModel, listener: HostListener) {
    this.budgetBytes = budgetBytes;
    this.#base = base;
    this.#baseLife = { bornMs: beginMs, index: 0 };
    this.nowMs = beginMs;
    this.#listener = listener;
    this.plugins = plugins.map((model) => new SimulatedPlugin(model));
  }

  /** Everything runs. */
  begin(): void {
    for (const plugin of this.plugins) {
      plugin.running(this.nowMs);
      // Whoever starts a host's plugins has seen what they took to start.
      this.#listener.onState(plugin, "starting");
      this.#listener.onState(plugin, "running");
    }
    this.usedBytes = this.usedAt(this.nowMs);
  }

  plugin(name: string): SimulatedPlugin {
    const found = this.plugins.find((plugin) => plugin.name === name);
    if (!found) throw new RangeError(`${name}: no such plugin on the simulated host`);
    return found;
  }

  /** When a plugin changes by itself next. */
  get nextEventMs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.plugins) first = Math.min(first, dueMs);
    return first;
  }

  /** The use at a time, if everything goes on as it is. */
  usedAt(atMs: number): number {
    let sum = this.#base.bytesAt(atMs, this.#baseLife);
    for (const plugin of this.plugins) sum += plugin.bytesAt(atMs);
    return sum;
  }

  /** Stops a plugin; its memory is back after `afterMs`. It is shed then, or started again after `restartAfterMs`. */
  stop(plugin: SimulatedPlugin, afterMs: number, restartAfterMs: number | null): void {
    if (!plugin.holdsMemory) {
      this.#move(plugin, "shed");
      return;
    }
    if (restartAfterMs !== null) this.#restarts.set(plugin, restartAfterMs);
    this.#move(plugin, "stopping", this.nowMs + afterMs);
  }

  /** What is being stopped is killed: its memory is back after `afterMs`, if that is sooner. */
  hasten(plugin: SimulatedPlugin, afterMs: number): void {
    if (plugin.state === "stopping") plugin.dueMs = Math.min(plugin.dueMs, this.nowMs + afterMs);
  }

  start(plugin: SimulatedPlugin): void {
    this.#move(plugin, "starting", this.nowMs + plugin.model.startMs);
    this.usedBytes = this.usedAt(this.nowMs);
  }

  /** Moves on to `untilMs`; what is due by then has happened, also where the kernel killed at that very moment. */
  advanceTo(untilMs: number): void {
    do {
      this.#walk(Math.min(untilMs, this.nextEventMs));
      if (this.nextEventMs <= this.nowMs) this.#settle();
    } while (this.nowMs < untilMs);
  }

  /** The first moment up to `untilMs` at which the use is at or over what `lineOf` its growth (bytes a second) says. */
  firstOver(untilMs: number, lineOf: (bytesPerSecond: number) => number): number {
    let [at, used] = [this.nowMs, this.usedBytes];
    while (at < untilMs) {
      const next = Math.min(untilMs, this.#knotAfter(at));
      const usedNext = this.usedAt(next);
      const perSecond = ((usedNext - used) * 1_000) / (next - at);
      const line = lineOf(perSecond);
      if (used >= line) return at;
      if (usedNext >= line) return Math.ceil(at + ((line - used) * 1_000) / perSecond);
      [at, used] = [next, usedNext];
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The first moment up to `untilMs` at which no more than `bytes` are in use. */
  firstUnder(untilMs: number, bytes: number): number {
    let [at, used] = [this.nowMs, this.usedBytes];
    if (used <= bytes) return at;
    while (at < untilMs) {
      const next = Math.min(untilMs, this.#knotAfter(at));
      const usedNext = this.usedAt(next);
      if (usedNext <= bytes) return Math.ceil(at + ((used - bytes) / (used - usedNext)) * (next - at));
      [at, used] = [next, usedNext];
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Ends the simulation: what is counted over time is complete. */
  close(): void {
    for (const plugin of this.plugins) plugin.close(this.nowMs);
  }

  #knotAfter(atMs: number): number {
    let first = this.#base.knotAfter(atMs, this.#baseLife);
    for (const plugin of this.plugins) first = Math.min(first, plugin.knotAfter(atMs));
    return first;
  }

  /** Moves to `untilMs`, or to where the kernel has to kill on the way. */
  #walk(untilMs: number): void {
    while (this.nowMs < untilMs) {
      const [at, used] = [this.nowMs, this.usedBytes];
      const spared = at < this.#baseSparedUntilMs;
      const stopMs = spared ? Math.min(untilMs, this.#baseSparedUntilMs) : untilMs;
      const next = Math.min(stopMs, this.#knotAfter(at));
      const usedNext = this.usedAt(next);
      const most = this.budgetBytes;
      if (Math.max(used, usedNext) > most && !spared) {
        const share = used > most ? 0 : (most - used) / (usedNext - used);
        this.nowMs = Math.min(next, at + Math.ceil(share * (next - at)));
        this.#count(at, used, this.nowMs, this.usedAt(this.nowMs));
        this.#kill();
        return;
      }
      this.#count(at, used, next, usedNext);
      [this.nowMs, this.usedBytes] = [next, usedNext];
    }
  }

  #count(fromMs: number, from: number, toMs: number, to: number): void {
    const line = criticalRatio * this.budgetBytes;
    if (from < line && to < line) return;
    const both = from >= line && to >= line;
    const share = both ? 1 : (Math.max(from, to) - line) / Math.abs(to - from);
    this.criticalMs += share * (toMs - fromMs);
  }

  #kill(): void {
    let largest: SimulatedPlugin | null = null;
    for (const plugin of this.plugins)
      if (plugin.holdsMemory && (!largest || plugin.bytesAt(this.nowMs) > largest.bytesAt(this.nowMs)))
        largest = plugin;
    if (largest === null) this.#baseSparedUntilMs = this.nowMs + baseKillMs;
    // One that was being stopped is gone all the same.
    else if (largest.state === "stopping" && !this.#restarts.has(largest)) this.#move(largest, "shed");
    else this.#move(largest, "absent", this.nowMs + (this.#restarts.get(largest) ?? restartMs));
    if (largest) this.#restarts.delete(largest);
    this.usedBytes = this.usedAt(this.nowMs);
    this.#listener.onKill(largest);
  }

  #settle(): void {
    for (const plugin of this.plugins) {
      if (plugin.dueMs > this.nowMs) continue;
      if (plugin.state === "starting") this.#move(plugin, "running");
      else if (plugin.state === "stopping") this.#gone(plugin);
      else if (this.#listener.mayStart(plugin))
        this.#move(plugin, "starting", this.nowMs + plugin.model.startMs);
      else plugin.dueMs = this.nowMs + restartMs;
    }
    this.usedBytes = this.usedAt(this.nowMs);
  }

  #gone(plugin: SimulatedPlugin): void {
    const restartAfterMs = this.#restarts.get(plugin);
    this.#restarts.delete(plugin);
    if (restartAfterMs === undefined) this.#move(plugin, "shed");
    else this.#move(plugin, "absent", this.nowMs + restartAfterMs);
  }

  #move(plugin: SimulatedPlugin, state: SimulatedState, dueMs?: number): void {
    plugin.to(state, this.nowMs, dueMs);
    this.#listener.onState(plugin, state);
  }
}
