/** Cgroups for each instance of a plugin, where the host lets us: for limits, footprints, and killing completely. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupPlaces, type Controller, findCgroupPlaces, noCgroupPlaces } from "./cgroup-place.ts";
import { type CgroupSetting, cpuSettings, memorySettings, processSettings } from "./cgroup-settings.ts";
import { type Held, type LimitInForce, limitInForce, type ManifestLimits } from "./limit-in-force.ts";
import { PluginCgroup } from "./plugin-cgroup.ts";
import {
  codeOf,
  controllers,
  type RunFolder,
  releaseRunCgroups,
  type Taken,
  takeRunCgroups,
} from "./run-cgroups.ts";

export interface LimitsOptions {
  runId: string;
  /** The conductor and its guard: in version 2 they move to a leaf of their own. */
  ownPids: () => readonly number[];
  /** Null forbids cgroups; default: found from /proc. */
  place?: CgroupPlaces | null;
}

/** The cgroups that this process is in; all null when there are none to be found. */
export function ownCgroupPlaces(): CgroupPlaces {
  try {
    return findCgroupPlaces(
      readFileSync("/proc/self/cgroup", "utf8"),
      readFileSync("/proc/self/mountinfo", "utf8"),
    );
  } catch {
    return noCgroupPlaces; // No /proc, so no cgroups either.
  }
}

/** The settings that hold a controller to its limit; null: this limit was not asked for. */
const settingsOf: Record<Controller, (version: 1 | 2, limits: ManifestLimits) => CgroupSetting[] | null> = {
  memory: (version, { memoryBytes }) => (memoryBytes === null ? null : memorySettings(version, memoryBytes)),
  cpu: (version, { cpuCores }) => (cpuCores === null ? null : cpuSettings(version, cpuCores)),
  pids: (_, { processes }) => processSettings(processes),
};

/** The cgroups of one run: `OWN/conductor-RUNID/PLUGIN.NUMBER`, in version 1 once for each controller. */
export class Limits {
  readonly #taken: Record<Controller, Taken>;
  readonly #ownPids: () => readonly number[];

  constructor({ runId, ownPids, place }: LimitsOptions) {
    this.#ownPids = ownPids;
    const places = place === undefined ? ownCgroupPlaces() : (place ?? noCgroupPlaces);
    this.#taken = takeRunCgroups(places, runId, ownPids());
  }

  /** The folders of the run, each once; empty when there are no cgroups. */
  get runFolders(): RunFolder[] {
    const byFolder = new Map<string, RunFolder>();
    for (const { run } of Object.values(this.#taken)) if (run) byFolder.set(run.folder, run);
    return [...byFolder.values()];
  }

  /**
   * Gives instance `number` (unique in the run) of `plugin` its cgroups with the limits. A plugin's name has no dot, so
   * that no two folders can be meant by one name. Never throws: what is not possible is a reason in the result.
   */
  apply(plugin: string, limits: ManifestLimits, number: number): LimitInForce {
    const made = new Map<string, PluginCgroup>();
    const take = (controller: Controller): Held => {
      const taken = this.#taken[controller];
      if (taken.run === null) return { cgroup: null, why: taken.why };
      const { version, folder } = taken.run;
      const settings = settingsOf[controller](version, limits);
      // The memory cgroup is wanted without a limit too: it measures, and holds the family together.
      if (settings === null && controller !== "memory") return { cgroup: null, why: "no limit is set" };
      const cgroup = made.get(folder) ?? new PluginCgroup(version, join(folder, `${plugin}.${number}`));
      try {
        cgroup.make();
        cgroup.set(settings ?? []);
        made.set(folder, cgroup);
        return { cgroup };
      } catch (error) {
        if (!made.has(folder)) cgroup.remove();
        return { cgroup: null, why: `${cgroup.folder}: ${codeOf(error)}` };
      }
    };
    return limitInForce(limits, { memory: take("memory"), cpu: take("cpu"), pids: take("pids") });
  }

  /** Removes the run's cgroups; true when all are gone. */
  release(): boolean {
    const gone = this.runFolders.map(({ version, folder }) =>
      releaseRunCgroups(version, folder, this.#ownPids()),
    );
    return gone.every(Boolean);
  }

  /** Why each controller that cannot be used cannot; empty when all can. */
  reasons(): Partial<Record<Controller, string>> {
    const found: Partial<Record<Controller, string>> = {};
    for (const controller of controllers) {
      const taken = this.#taken[controller];
      if (taken.run === null) found[controller] = taken.why;
    }
    return found;
  }
}
