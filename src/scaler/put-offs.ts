/**
 * How long a plugin that was shed stays away. Deterministic: time is told.
 *
 *   shed --> away --- restored --> ran longer than `relapse`, then shed: counts as the first time
 *                       |
 *                       +--> shed sooner: it brought the pressure back; away for initial x 2^n, n = how often in a row
 */

import type { PutOff } from "./situation.ts";

interface History {
  shedAtMs: number | null;
  restoredAtMs: number | null;
  relapses: number;
  untilMs: number;
}

/** Plugins that are remembered; the one that changed longest ago leaves. */
const mostPlugins = 1_000;
/** 2^n is past any `mostMs` by then. */
const mostDoublings = 40;

export class PutOffs {
  readonly #byPlugin = new Map<string, History>();

  restored(plugin: string, nowMs: number): void {
    const history = this.#take(plugin);
    history.restoredAtMs = nowMs;
    history.shedAtMs = null;
  }

  shed(plugin: string, nowMs: number, putOff: PutOff | undefined): void {
    const history = this.#take(plugin);
    const { restoredAtMs } = history;
    const relapsed =
      putOff !== undefined && restoredAtMs !== null && nowMs - restoredAtMs <= putOff.relapseMs;
    history.relapses = relapsed ? Math.min(mostDoublings, history.relapses + 1) : 0;
    history.restoredAtMs = null;
    history.shedAtMs = nowMs;
    const waitMs = relapsed ? Math.min(putOff.mostMs, putOff.initialMs * 2 ** (history.relapses - 1)) : 0;
    history.untilMs = nowMs + waitMs;
  }

  /** Until when it stays away; undefined: it may come back now. */
  untilMs(plugin: string, nowMs: number): number | undefined {
    const untilMs = this.#byPlugin.get(plugin)?.untilMs ?? 0;
    return untilMs > nowMs ? untilMs : undefined;
  }

  /** What a plugin that is shed is judged by: how long it has been away, and until when it stays away. */
  facts(plugin: string, nowMs: number): { awayMs?: number; putOffUntilMs?: number } {
    const shedAtMs = this.#byPlugin.get(plugin)?.shedAtMs ?? null;
    const putOffUntilMs = this.untilMs(plugin, nowMs);
    return {
      ...(shedAtMs === null ? {} : { awayMs: nowMs - shedAtMs }),
      ...(putOffUntilMs === undefined ? {} : { putOffUntilMs }),
    };
  }

  /** The clock was set by so much. */
  shift(byMs: number): void {
    for (const history of this.#byPlugin.values()) {
      history.untilMs += byMs;
      if (history.restoredAtMs !== null) history.restoredAtMs += byMs;
      if (history.shedAtMs !== null) history.shedAtMs += byMs;
    }
  }

  #take(plugin: string): History {
    const history = this.#byPlugin.get(plugin) ?? {
      shedAtMs: null,
      restoredAtMs: null,
      relapses: 0,
      untilMs: 0,
    };
    this.#byPlugin.delete(plugin);
    this.#byPlugin.set(plugin, history);
    const [oldest] = this.#byPlugin.keys();
    if (this.#byPlugin.size > mostPlugins && oldest !== undefined) this.#byPlugin.delete(oldest);
    return history;
  }
}
