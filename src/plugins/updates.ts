/** Changes of the plugin folders, and orders to exchange a plugin, carried out one after the other. */

import type { Discovery, FoundPlugin } from "./discovery.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import type { PluginVersion } from "./plugin-version.ts";
import { versionText } from "./plugin-version.ts";
import type { Roster, RosterChanges } from "./roster.ts";
import type { Supervisor } from "./supervisor.ts";

export interface UpdatesPorts {
  options: PluginManagerOptions;
  roster: Roster;
  scan(): Promise<Discovery>;
  create(found: FoundPlugin): Supervisor;
  /** Ends one whose folder is gone and takes it off the roster. */
  remove(supervisor: Supervisor): Promise<void>;
}

/** How a new version took over, or that it did not. */
export type SwapOutcome = "swapped" | "stopped_first" | "kept_old" | "rolled_back";

export type Replaced =
  | { ok: true; notes: string[] }
  | { ok: false; code: "not-replaced" | "invalid"; message: string };

export class Updates {
  readonly #ports: UpdatesPorts;
  /** The one that is being carried out; the next waits for it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: UpdatesPorts) {
    this.#ports = ports;
  }

  #inTurn<Value>(run: () => Promise<Value>): Promise<Value> {
    const mine = this.#last.then(run, run);
    this.#last = mine.catch(() => undefined); // Whoever asked for it is told.
    return mine;
  }

  /** Starts what is new, exchanges what changed, ends what is gone. */
  rescan(): Promise<void> {
    return this.#inTurn(async () => {
      const changes = await this.#take();
      await this.#apply(changes, null);
    });
  }

  /** The plugin as it now lies in its folder takes over, changed or not. */
  reload(supervisor: Supervisor, reason: string): Promise<Replaced> {
    return this.#inTurn(async () => {
      const changes = await this.#take();
      const { name } = supervisor;
      await this.#apply(changes, name);
      const invalid = changes.invalid.find((each) => each.name === name);
      if (invalid)
        return {
          ok: false,
          code: "invalid",
          message: `${invalid.reason}; ${versionText(supervisor.version)} goes on`,
        };
      const next = changes.changed.find((each) => each.supervisor === supervisor)?.next ?? supervisor.version;
      return this.#replace(supervisor, { ...next }, reason);
    });
  }

  async #take(): Promise<RosterChanges> {
    const { options, roster, scan, create } = this.#ports;
    const discovery = await scan();
    for (const { code, message } of discovery.errors)
      options.log.error("plugins.discovery", { code, message });
    return roster.take(discovery, options.clock.nowMs(), create);
  }

  /** Carries out what a scan brought, but for the plugin called `except`. */
  async #apply(changes: RosterChanges, except: string | null): Promise<void> {
    const { log } = this.#ports.options;
    for (const { name, reason } of changes.invalid) log.error("plugin.invalid", { plugin: name, reason });
    await Promise.all(changes.removed.map((supervisor) => this.#ports.remove(supervisor)));
    const eager = changes.added.filter(({ manifest }) => manifest.start === "eager");
    await Promise.all([
      ...eager.map((supervisor) => supervisor.start("found in its folder", { automatic: true })),
      ...changes.changed
        .filter(({ supervisor }) => supervisor.name !== except)
        .map(({ supervisor, next }) => this.#replace(supervisor, next, "its folder changed")),
    ]);
  }

  async #replace(supervisor: Supervisor, next: PluginVersion, reason: string): Promise<Replaced> {
    const { name, version: before } = supervisor;
    const { roster, options } = this.#ports;
    const why = this.#whyInPlace(before, next);
    const outcome = await supervisor.replace(next, { beside: why === null, reason });
    options.overlapEnded?.(name);
    roster.arrange();
    const done: SwapOutcome = !outcome.ok ? "kept_old" : why === null ? "swapped" : "stopped_first";
    const told = {
      plugin: name,
      from: versionText(before),
      to: versionText(next),
      outcome: done,
      reason: outcome.ok ? (why ?? reason) : outcome.message,
    };
    options.log[outcome.ok ? "info" : "error"]("plugin.swapped", told);
    options.publisher.publish("plugin.swapped", told);
    if (outcome.ok) return { ok: true, notes: why === null ? [] : [`stopped first, then started: ${why}`] };
    const serving =
      supervisor.members.length > 0 ? `${versionText(before)} goes on` : `${name} is ${supervisor.state}`;
    return { ok: false, code: "not-replaced", message: `${outcome.message}; ${serving}` };
  }

  /** Why the old version has to be stopped first; null when the new one may run beside it. */
  #whyInPlace({ manifest: old }: PluginVersion, { manifest }: PluginVersion): string | null {
    for (const { health } of [old, manifest])
      if (health.kind === "http" || health.kind === "tcp")
        return `port ${health.port} of health.kind ${health.kind} is for one version at a time`;
    if (old.swap === "stop-first" || manifest.swap === "stop-first")
      return "swap: stop-first in its manifest";
    const room = this.#ports.options.mayOverlap?.(manifest.name) ?? { ok: true };
    return room.ok ? null : room.reason;
  }
}
