/**
 * What an administrator disabled stays so until one enables it, whatever ends meanwhile: conductor, or the plugin's folder.
 *
 *   disable ──▶ written down ──▶ stopped        start of conductor, or found anew ──▶ disabled, never started
 *   enable  ──▶ forgotten    ──▶ started        start of conductor without such a plugin ──▶ forgotten
 */

import type { Log } from "../log.ts";
import type { Started, Stopped } from "./orders.ts";
import type { Supervisor } from "./supervisor.ts";

/** Where it is written down. A text is why that was not done. */
export interface DisabledStore {
  /** When each was disabled, milliseconds since the epoch, by name. Never throws: what cannot be read is not known. */
  all(): ReadonlyMap<string, number>;
  keep(plugin: string, atMs: number): string | null;
  forget(plugin: string): string | null;
}

export interface DisabledPorts {
  /** Null as long as there is none. */
  store(): DisabledStore | null;
  nowMs(): number;
  log: Log;
  supervisors(): readonly Supervisor[];
  /** There is a plugin of that name, be it invalid. */
  exists(plugin: string): boolean;
  stop(plugin: string, reason: string): Promise<Stopped>;
  start(plugin: string, reason: string): Promise<Started>;
}

const reasonOf = (atMs: number): string => `disabled by an administrator at ${new Date(atMs).toISOString()}`;

export class Disabled {
  constructor(private readonly ports: DisabledPorts) {}

  /** Before anything is started: puts each where it was, and forgets those that are gone. */
  holdAll(): void {
    const { store, exists, log } = this.ports;
    for (const supervisor of this.ports.supervisors()) this.hold(supervisor);
    for (const plugin of store()?.all().keys() ?? []) {
      if (exists(plugin)) continue;
      log.info("plugin.disabled_forgotten", { plugin, because: "there is no plugin of that name any more" });
      const problem = store()?.forget(plugin) ?? null;
      if (problem !== null) log.warn("plugin.order_not_kept", { plugin, order: "forget", problem });
    }
  }

  /** Keeps one that was not started yet from running, if it was disabled. */
  hold(supervisor: Supervisor): void {
    const atMs = this.ports.store()?.all().get(supervisor.name);
    if (atMs !== undefined)
      void supervisor.stop("disabled", { urgent: false, graceMs: 0, reason: reasonOf(atMs) });
  }

  /** Stops it until it is enabled. It is written down first: a crash in the middle does not undo it. */
  async disable(plugin: string): Promise<Stopped> {
    const { store, nowMs, supervisors, stop } = this.ports;
    const atMs = nowMs();
    const found = supervisors().some(({ name }) => name === plugin);
    const problem = found ? (store()?.keep(plugin, atMs) ?? null) : null;
    const stopped = await stop(plugin, reasonOf(atMs));
    return stopped.ok ? { ...stopped, ...this.#notes(plugin, "disable", problem) } : stopped;
  }

  /** Starts it whatever kept it from running. One that is gone is forgotten all the same. */
  async enable(plugin: string, reason: string): Promise<Started> {
    const { store, start } = this.ports;
    const problem = store()?.forget(plugin) ?? null;
    const started = await start(plugin, reason);
    if (!started.ok) return started;
    const { notes } = this.#notes(plugin, "enable", problem);
    return notes ? { ...started, notes: [...(started.notes ?? []), ...notes] } : started;
  }

  #notes(plugin: string, order: "enable" | "disable", problem: string | null): { notes?: string[] } {
    if (problem === null) return {};
    this.ports.log.warn("plugin.order_not_kept", { plugin, order, problem });
    return { notes: [`holds until conductor ends, since it could not be written down: ${problem}`] };
  }
}
