/** Changes of the plugin folders, and orders to exchange a plugin, carried out one after the other. */

import type { SwapOutcome } from "../events/events.ts";
import type { Discovery, FoundPlugin } from "./discovery.ts";
import { folderOfSource } from "./found-plugin.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import { type PluginVersion, versionText } from "./plugin-version.ts";
import { type Roster, type RosterChanges, versionFound } from "./roster.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Versions } from "./versions.ts";

export interface UpdatesPorts {
  options: PluginManagerOptions;
  roster: Roster;
  versions: Versions;
  scan(): Promise<Discovery>;
  create(found: FoundPlugin): Supervisor;
  /** Keeps one that is new from running, if it was disabled. */
  hold(supervisor: Supervisor): void;
  /** Ends one whose folder is gone and takes it off the roster. */
  remove(supervisor: Supervisor): Promise<void>;
}

export type Replaced =
  | { ok: true; notes: string[] }
  | { ok: false; code: "not-replaced" | "nothing-kept" | "invalid"; message: string };

export class Updates {
  readonly #ports: UpdatesPorts;
  /** The one that is being carried out; the next waits for it. */
  #last: Promise<unknown> = Promise.resolve();
  /** Orders that wait for their turn, by what they are for: the same one again is one with them. */
  readonly #waiting = new Map<string, Promise<unknown>>();

  constructor(ports: UpdatesPorts) {
    this.#ports = ports;
  }

  #inTurn<Value>(order: string, run: () => Promise<Value>): Promise<Value> {
    const same = this.#waiting.get(order) as Promise<Value> | undefined;
    if (same) return same;
    const mine = this.#last.then(() => {
      this.#waiting.delete(order);
      return run();
    });
    this.#waiting.set(order, mine);
    this.#last = mine.catch(() => undefined); // Whoever asked for it is told.
    return mine;
  }

  /** Puts back what earlier rollbacks decided. To be called before anything is started. */
  applyPins(): Promise<void> {
    const { roster, versions, options } = this.#ports;
    return this.#inTurn("pins", async () => {
      for (const supervisor of roster.supervisors()) {
        const own = this.#ownFolder(supervisor);
        const version = own === null ? null : await versions.pinned(supervisor, own);
        if (own === null || version === null) continue;
        versions.setAside(supervisor, own);
        await supervisor.replace(version, { beside: false, reason: "it was rolled back" });
        roster.arrange();
        options.log.info("plugin.rolled_back", { plugin: supervisor.name, version: versionText(version) });
      }
    });
  }

  /** Starts what is new, exchanges what changed, ends what is gone. */
  rescan(): Promise<void> {
    return this.#inTurn("rescan", async () => {
      const changes = await this.#take();
      await this.#apply(changes, null);
    });
  }

  /** The plugin as it now lies in its folder takes over, changed or not. */
  reload(name: string, reason: string): Promise<Replaced> {
    return this.#inTurn(`reload ${name}`, async () => {
      const changes = await this.#take();
      await this.#apply(changes, name);
      const invalid = changes.invalid.find((each) => each.name === name);
      const found = this.#ports.roster.found(name);
      // Not the one from before the scan: its folder may have been removed and made anew.
      const supervisor = this.#ports.roster.supervisor(name);
      if (!found || !supervisor)
        return { ok: false, code: "invalid", message: `the folder of ${name} is gone, so it was ended` };
      if (invalid) {
        const goesOn = `${versionText(supervisor.version)} goes on`;
        return { ok: false, code: "invalid", message: `${invalid.reason}; ${goesOn}` };
      }
      return this.#replace(supervisor, versionFound(found), reason, "swapped");
    });
  }

  /** The version that ran well before takes over, until the folder holds something new. */
  rollback(name: string, reason: string): Promise<Replaced> {
    return this.#inTurn(`rollback ${name}`, async () => {
      const { versions, roster } = this.#ports;
      const supervisor = roster.supervisor(name);
      if (!supervisor)
        return { ok: false, code: "invalid", message: `the folder of ${name} is gone, so it was ended` };
      const before = await versions.before(supervisor);
      if (!before.ok)
        return {
          ok: false,
          code: "nothing-kept",
          message: `${supervisor.name} has nothing to go back to: ${before.problem}`,
        };
      const replaced = await this.#replace(supervisor, before.version, reason, "rolled_back");
      const own = this.#ownFolder(supervisor);
      if (!replaced.ok || own === null) return replaced;
      versions.setAside(supervisor, own);
      const problem = await versions.pin(supervisor, own);
      const notes = [...replaced.notes, `${versionText(supervisor.version)} runs until ${own} changes`];
      if (problem !== null) notes.push(`not after a restart of conductor: ${problem}`);
      return { ok: true, notes };
    });
  }

  #ownFolder({ name }: Supervisor): string | null {
    const found = this.#ports.roster.found(name);
    return found ? folderOfSource(found.source) : null;
  }

  async #take(): Promise<RosterChanges> {
    const { options, roster, scan, create, versions } = this.#ports;
    const discovery = await scan();
    for (const { code, message } of discovery.errors)
      options.log.error("plugins.discovery", { code, message });
    const changes = roster.take(discovery, options.clock.nowMs(), create);
    const known = new Set([...changes.changed, ...changes.invalid].map((each) => nameOf(each)));
    for (const supervisor of roster.supervisors()) {
      const own = this.#ownFolder(supervisor);
      const found = roster.found(supervisor.name);
      if (own === null || !found || known.has(supervisor.name) || !versions.changed(supervisor, own))
        continue;
      changes.changed.push({ supervisor, next: versionFound(found) });
    }
    // What failed once fails again: each scan would start it anew.
    const changed = changes.changed.filter(({ supervisor }) => {
      const own = this.#ownFolder(supervisor);
      return own === null || !versions.isSetAside(supervisor, own);
    });
    return { ...changes, changed };
  }

  /** Carries out what a scan brought, but for the plugin called `except`. */
  async #apply(changes: RosterChanges, except: string | null): Promise<void> {
    const { log, publisher } = this.#ports.options;
    const { roster } = this.#ports;
    for (const supervisor of changes.added) this.#ports.hold(supervisor);
    for (const { name } of changes.added) publisher.publish("plugin.listed", { plugin: name, present: true });
    for (const { name, reason } of changes.invalid)
      if (roster.found(name)?.changed) log.error("plugin.invalid", { plugin: name, reason });
    await Promise.all(changes.removed.map((supervisor) => this.#ports.remove(supervisor)));
    for (const { name } of changes.removed)
      publisher.publish("plugin.listed", { plugin: name, present: false });
    const eager = changes.added.filter(
      (each) => each.manifest.start === "eager" && each.wanted() !== "disabled",
    );
    await Promise.all([
      ...eager.map((supervisor) => supervisor.start("found in its folder", { automatic: true })),
      ...changes.changed
        .filter(({ supervisor }) => supervisor.name !== except)
        .map(({ supervisor, next }) => this.#replace(supervisor, next, "its folder changed", "swapped")),
    ]);
  }

  async #replace(
    supervisor: Supervisor,
    next: PluginVersion,
    reason: string,
    success: SwapOutcome,
  ): Promise<Replaced> {
    const { name, version: before } = supervisor;
    const { roster, options, versions } = this.#ports;
    const why = this.#whyInPlace(before, next);
    const secured = this.#secureOld(supervisor);
    if (why !== null) await secured;
    const outcome = await supervisor.replace(next, { beside: why === null, reason });
    await secured;
    options.overlapEnded?.(name);
    if (!outcome.ok) this.#setAside(supervisor);
    else if (!next.kept) versions.admit(name);
    supervisor.refused = outcome.ok ? null : `${versionText(next)} did not take over: ${outcome.message}`;
    roster.replaced();
    const done: SwapOutcome = !outcome.ok ? "kept_old" : why === null ? success : "stopped_first";
    const told = {
      plugin: name,
      from: versionText(before),
      to: versionText(next),
      outcome: done,
      reason: outcome.ok ? (why ?? reason) : outcome.message,
    };
    options.log[outcome.ok ? "info" : "error"]("plugin.swapped", told);
    options.publisher.publish("plugin.swapped", told);
    versions.proven(supervisor);
    if (outcome.ok) return { ok: true, notes: why === null ? [] : [`stopped first, then started: ${why}`] };
    const { members, state } = supervisor;
    const now = members.length > 0 ? `${versionText(before)} goes on` : `${name} is ${state}`;
    return { ok: false, code: "not-replaced", message: `${outcome.message}; ${now}` };
  }

  /** Its folder holds the next version by now: should the old one be started again, that is from its kept copy. */
  async #secureOld(supervisor: Supervisor): Promise<void> {
    const { versions } = this.#ports;
    const { version } = supervisor;
    await versions.settled();
    const copy = await versions.ownCopy(supervisor);
    if (copy && supervisor.version === version) supervisor.version = copy;
  }

  /** What its folder holds did not take over, and is not tried again until it is another one. */
  #setAside(supervisor: Supervisor): void {
    const own = this.#ownFolder(supervisor);
    if (own !== null) this.#ports.versions.setAside(supervisor, own);
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

const nameOf = (change: { name: string } | { supervisor: Supervisor }): string =>
  "name" in change ? change.name : change.supervisor.name;
