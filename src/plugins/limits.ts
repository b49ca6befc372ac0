/** A cgroup for each plugin, where the host lets us: for limits, footprints, and killing completely. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupPlace, findCgroupPlace } from "./cgroup-place.ts";
import { cgroupPids, PluginCgroup } from "./plugin-cgroup.ts";
import { releaseRunCgroups } from "./run-cgroups.ts";

/** What limits a plugin's memory, as it took effect. */
export interface LimitInForce {
  cgroup: PluginCgroup | null;
  /** "cgroup v1", "cgroup v2", "none". */
  mechanism: "cgroup v1" | "cgroup v2" | "none";
  /** Why there is no limit, or what to do for one; null when all is as asked. */
  reason: string | null;
}

export interface LimitsOptions {
  runId: string;
  /** The conductor and its guard: in version 2 they move to a leaf of their own. */
  ownPids: () => readonly number[];
  /** Null forbids cgroups; default: found from /proc. */
  place?: CgroupPlace | null;
}

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** The cgroup that this process is in; null when there is none to be found. */
export function ownCgroupPlace(): CgroupPlace | null {
  try {
    return findCgroupPlace(
      readFileSync("/proc/self/cgroup", "utf8"),
      readFileSync("/proc/self/mountinfo", "utf8"),
    );
  } catch {
    return null; // No /proc, so no cgroups either.
  }
}

/** The cgroups of one run: `OWN/conductor-RUNID/PLUGIN`. */
export class Limits {
  /** The folder of the run; null when cgroups are not used, and then `reason` says why. */
  readonly runFolder: string | null = null;
  readonly reason: string | null = null;
  readonly #place: CgroupPlace | null;
  readonly #options: LimitsOptions;

  constructor(options: LimitsOptions) {
    this.#options = options;
    this.#place = options.place === undefined ? ownCgroupPlace() : options.place;
    if (!this.#place) {
      this.reason = "no memory cgroup is mounted";
      return;
    }
    const runFolder = join(this.#place.folder, `conductor-${options.runId}`);
    try {
      mkdirSync(runFolder);
      if (this.#place.version === 2) this.#delegate(this.#place.folder, runFolder);
      this.runFolder = runFolder;
    } catch (error) {
      this.reason = this.#explain(error);
      releaseRunCgroups(this.#place.version, runFolder, options.ownPids());
    }
  }

  #explain(error: unknown): string {
    if (error instanceof CgroupShared) return error.message;
    const remedy =
      this.#place?.version === 2
        ? "run it as a systemd service with Delegate=yes, or as root"
        : "run it as root, or give this user a memory cgroup";
    return `${this.#place?.folder} is not writable (${reasonOf(error)}); ${remedy}`;
  }

  /** Version 2 allows controllers below a cgroup only when no process is in it: the conductor moves to a leaf. */
  #delegate(own: string, runFolder: string): void {
    const available = readFileSync(join(own, "cgroup.controllers"), "utf8").split(/\s+/);
    if (!available.includes("memory"))
      throw new CgroupShared(`${own} has no memory controller; for systemd set Delegate=yes`);
    const ours = new Set(this.#options.ownPids());
    const others = cgroupPids(own).filter((pid) => !ours.has(pid));
    const isRoot = isRootCgroup(own);
    if (others.length > 0 && !isRoot)
      throw new CgroupShared(
        `${own} holds ${others.length} other processes, so limits cannot be set below it; run conductor as a service of its own`,
      );
    if (!isRoot) {
      const self = join(runFolder, "self");
      mkdirSync(self);
      for (const pid of ours) writeFileSync(join(self, "cgroup.procs"), String(pid));
    }
    writeFileSync(join(own, "cgroup.subtree_control"), "+memory");
    writeFileSync(join(runFolder, "cgroup.subtree_control"), "+memory");
  }

  /** Null when there are no cgroups. */
  get version(): 1 | 2 | null {
    return this.#place?.version ?? null;
  }

  /** Gives `plugin` its cgroup with the limit (bytes; null for none). Never throws: what is not possible is the reason. */
  apply(plugin: string, limitBytes: number | null): LimitInForce {
    const unlimited = limitBytes === null ? null : "limits.memory is not enforced: ";
    if (this.runFolder === null || !this.#place)
      return { cgroup: null, mechanism: "none", reason: unlimited && unlimited + this.reason };
    const cgroup = new PluginCgroup(this.#place.version, join(this.runFolder, plugin));
    try {
      cgroup.prepare(limitBytes);
      return { cgroup, mechanism: `cgroup v${this.#place.version}`, reason: null };
    } catch (error) {
      cgroup.remove();
      const reason = `${cgroup.folder}: ${reasonOf(error)}`;
      return { cgroup: null, mechanism: "none", reason: unlimited && unlimited + reason };
    }
  }

  /** Removes the run's cgroups; true when all are gone. */
  release(): boolean {
    if (this.runFolder === null || !this.#place) return true;
    return releaseRunCgroups(this.#place.version, this.runFolder, this.#options.ownPids());
  }
}

/** Cgroups can be written here but must not be used. */
class CgroupShared extends Error {}

function isRootCgroup(folder: string): boolean {
  try {
    readFileSync(join(folder, "cgroup.type"));
    return false;
  } catch {
    return true; // Only the root of a version 2 tree has no such file.
  }
}
