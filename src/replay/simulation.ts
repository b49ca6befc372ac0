/**
 * Runs a judge on a simulated host, at once and synchronously: time is a number that moves on to the next moment at which
 * something happens. Between samples the judge reads memory as the live reflex does where its answer could be another one,
 * and not where it could not: calm time costs one step a sample.
 */

import { criticalRatio, type HostModel, SimulatedHost } from "./host.ts";
import type { Judge, Orders } from "./judge.ts";
import type { SimulatedPlugin, SimulatedState } from "./simulated-plugin.ts";
import { Counting, type Tally, weightOf } from "./tally.ts";

/** Something that was decided, for a list or a picture. */
export interface Decided extends Orders {
  atMs: number;
  usedRatio: number;
}

export interface SimulationOptions {
  intervalMs: number;
  /** A shed is a false alarm when memory would not have come to 95 % within so long. */
  horizonMs: number;
  /** Degradation order, for the weights. */
  order: readonly string[];
  onDecision?: (decided: Decided) => void;
  /** Each sample, with the plugins that are ready. */
  onTick?: (host: SimulatedHost) => void;
  /** A plugin moved to a state. */
  onState?: (plugin: string, state: SimulatedState, atMs: number) => void;
  onOom?: (atMs: number, plugin: string | null) => void;
}

/** Readings begin this long before the line is reached, so that the pace of growth is known there. */
const leadInMs = 1_500;
/** What grew is remembered for so long: it is watched on after it stopped. */
const watchMs = 3_500;
/** Over the line with nothing left to do, memory is read this often, until a plugin comes or goes. */
const idleMs = 10_000;
/** A plugin that waits is tried again at the earliest after so long, as the live reflex does when calm. */
const eagerMs = 1_000;
/** Less memory in use by this share of the budget may make room; less than that waits for the next sample. */
const roomRatio = 0.005;

/** What happened on a host under a judge. */
export function simulate(model: HostModel, judge: Judge, options: SimulationOptions): Tally {
  return new Simulation(model, judge, options).run();
}

interface Acting {
  orders: Orders;
  /** Of the orders' actions, the one that is carried out. */
  index: number;
  plugin: SimulatedPlugin;
  startedMs: number;
  urgent: boolean;
}

class Simulation {
  readonly #host: SimulatedHost;
  readonly #counting = new Counting();
  #acting: Acting | null = null;
  #restoring: SimulatedPlugin | null = null;
  #held = false;
  #watchUntilMs = Number.NEGATIVE_INFINITY;
  #last: { atMs: number; usedBytes: number } | null = null;
  #growthRatio = 0;

  constructor(
    private readonly model: HostModel,
    private readonly judge: Judge,
    private readonly options: SimulationOptions,
  ) {
    this.#host = new SimulatedHost(model, {
      onState: (plugin, state) => {
        this.#held = false;
        judge.onState(plugin, state);
        options.onState?.(plugin.name, state, this.#host.nowMs);
      },
      onKill: (plugin) => {
        this.#counting.killed(this.#host.nowMs);
        options.onOom?.(this.#host.nowMs, plugin?.name ?? null);
      },
      mayStart: (plugin) => judge.mayStart(plugin),
    });
  }

  run(): Tally {
    const { judge, model, options } = this;
    const host = this.#host;
    judge.watch(host);
    host.begin();
    while (host.nowMs < model.endMs) {
      const next = Math.min(model.endMs, host.nowMs + options.intervalMs);
      judge.onSample();
      options.onTick?.(host);
      this.#read();
      this.#between(next);
    }
    host.close();
    const { sheds, restores, flaps, falseAlarms, oomKills, oomMinutes, leadMs } = this.#counting;
    const plugins = host.plugins.map(
      ({ name, upMs }) => [name, { upMs, weight: weightOf(name, options.order) }] as const,
    );
    return {
      durationMs: model.endMs - model.beginMs,
      oomKills,
      oomMinutes,
      criticalMs: host.criticalMs,
      plugins: Object.fromEntries(plugins),
      sheds,
      restores,
      flaps,
      falseAlarms,
      leadMs,
    };
  }

  #between(nextMs: number): void {
    const host = this.#host;
    for (;;) {
      this.#progress();
      if (host.nowMs >= nextMs) return;
      const wakeMs = this.#wakeMs(nextMs);
      host.advanceTo(Math.min(wakeMs, nextMs, host.nextEventMs));
      // The reading of the next sample is made there.
      if (host.nowMs === wakeMs && wakeMs < nextMs) this.#read();
    }
  }

  /** Goes on with what is being carried out, as far as the host has come. */
  #progress(): void {
    const restoring = this.#restoring;
    if (restoring && restoring.state !== "starting") {
      this.#restoring = null;
      this.judge.restoreDone(restoring, restoring.state === "running");
    }
    for (;;) {
      const acting = this.#acting;
      if (!acting || acting.plugin.state === "stopping") return;
      this.#acting = null;
      this.judge.shedDone(acting.plugin, this.#host.nowMs - acting.startedMs);
      const { restartAfterMs } = acting.orders;
      if (restartAfterMs !== undefined)
        this.#counting.restored(acting.plugin.name, this.#host.nowMs + restartAfterMs);
      const next = acting.index + 1;
      if (next < acting.orders.actions.length) this.#shed(acting.orders, next);
      else this.#read();
    }
  }

  #read(): void {
    const host = this.#host;
    const { nowMs, usedBytes, budgetBytes } = host;
    const last = this.#last;
    if (last && nowMs > last.atMs)
      this.#growthRatio = ((usedBytes - last.usedBytes) * 1_000) / ((nowMs - last.atMs) * budgetBytes);
    this.#last = { atMs: nowMs, usedBytes };
    if (this.#acting) {
      this.#hasten(this.#acting);
      return;
    }
    const orders = this.judge.onReading();
    const [first] = orders.actions;
    this.#held = first === undefined;
    if (!first) return;
    this.options.onDecision?.({ ...orders, atMs: nowMs, usedRatio: usedBytes / budgetBytes });
    if (first.kind === "restore") this.#restore(host.plugin(first.plugin));
    else {
      const crossesMs = host.firstOver(nowMs + this.options.horizonMs, () => criticalRatio * budgetBytes);
      this.judge.shedBegins();
      for (const { plugin } of orders.actions) this.#counting.shed(plugin, nowMs, crossesMs);
      this.#shed(orders, 0);
    }
  }

  #hasten(acting: Acting): void {
    if (acting.urgent || this.#host.usedBytes < this.judge.emergencyRatio * this.#host.budgetBytes) return;
    acting.urgent = true;
    this.#host.hasten(acting.plugin, acting.plugin.model.reclaimMs);
  }

  #shed(orders: Orders, index: number): void {
    const host = this.#host;
    const action = orders.actions[index];
    if (!action) return;
    const plugin = host.plugin(action.plugin);
    const urgent = action.urgent || host.usedBytes >= this.judge.emergencyRatio * host.budgetBytes;
    const { stopMs, reclaimMs } = plugin.model;
    const afterMs = reclaimMs + (urgent ? 0 : Math.min(stopMs, action.drainMs ?? Number.POSITIVE_INFINITY));
    this.#acting = { orders, index, plugin, startedMs: host.nowMs, urgent };
    host.stop(plugin, afterMs, orders.restartAfterMs ?? null);
  }

  #restore(plugin: SimulatedPlugin): void {
    const { nowMs } = this.#host;
    this.#counting.restored(plugin.name, nowMs);
    this.judge.restoreBegins(plugin);
    this.#restoring = plugin;
    this.#host.start(plugin);
  }

  /** The next moment at which a reading could be answered by more than holding; Infinity: not before `nextMs`. */
  #wakeMs(nextMs: number): number {
    const host = this.#host;
    const { judge } = this;
    const { nowMs, usedBytes, budgetBytes } = host;
    if (this.#acting)
      return this.#acting.urgent
        ? Number.POSITIVE_INFINITY
        : Math.max(
            nowMs + 1,
            host.firstOver(nextMs, () => judge.emergencyRatio * budgetBytes),
          );
    const dwellMs = judge.wakeAtMs > nowMs ? judge.wakeAtMs : Number.POSITIVE_INFINITY;
    return Math.min(dwellMs, this.#shedWakeMs(nextMs, usedBytes / budgetBytes), this.#restoreWakeMs(nextMs));
  }

  #shedWakeMs(nextMs: number, usedRatio: number): number {
    const host = this.#host;
    const { nowMs, budgetBytes } = host;
    const alertMs = host.firstOver(nextMs, (rise) => this.judge.alertRatio(rise) * budgetBytes);
    if (alertMs <= nowMs) this.#watchUntilMs = nowMs + watchMs;
    if (alertMs === Number.POSITIVE_INFINITY && nowMs > this.#watchUntilMs) return alertMs;
    const paceMs = Math.max(1, Math.round(this.judge.delayMs(usedRatio, this.#growthRatio)));
    if (this.#held && usedRatio >= this.judge.alertRatio(0)) return nowMs + Math.max(paceMs, idleMs);
    if (nowMs <= this.#watchUntilMs) return nowMs + paceMs;
    return Math.max(nowMs + paceMs, alertMs - leadInMs);
  }

  #restoreWakeMs(nextMs: number): number {
    const host = this.#host;
    const { nowMs, budgetBytes } = host;
    const line = this.judge.restoreRatio * budgetBytes;
    if (this.#restoring || line < 0 || !host.plugins.some(({ state }) => state === "shed"))
      return Number.POSITIVE_INFINITY;
    // What was refused a moment ago is refused as long as no memory comes free; for a time to end, there is `wakeAtMs`.
    const refusedAt = this.#held && this.#last ? this.#last.usedBytes : Number.POSITIVE_INFINITY;
    const roomy = Math.min(line, refusedAt - roomRatio * budgetBytes);
    return Math.max(nowMs + eagerMs, host.firstUnder(nextMs, roomy));
  }
}
