/** What each start of a plugin is made from. */

import type { InstancePlan } from "./instance-ports.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import { oomScoreAdj } from "./oom-score.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { Roster } from "./roster.ts";
import type { Versions } from "./versions.ts";

export interface PluginPlanner {
  plan(version: PluginVersion): InstancePlan;
}

export function planner(options: PluginManagerOptions, roster: Roster, versions: Versions): PluginPlanner {
  /**
   * The kernel's order of killing is the degradation order: unnamed ones by name, then the named ones; but what the last
   * of the order requires goes with it.
   */
  const scoreOf = (plugin: string): number => {
    const { order } = options;
    const kept = new Set<string>();
    const keep = (name: string) => {
      for (const required of roster.supervisor(name)?.requires ?? [])
        if (!kept.has(required)) {
          kept.add(required);
          keep(required);
        }
    };
    const last = order.at(-1);
    if (last !== undefined) keep(last);
    // A model comes back by itself, and its conversation is kept: before any plugin.
    const rank = (name: string) =>
      roster.partOf(name) ? -2 : kept.has(name) ? order.length - 1.5 : order.indexOf(name);
    const ranked = roster
      .supervisors()
      .map(({ name }) => name)
      .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    return oomScoreAdj(ranked.indexOf(plugin), ranked.length);
  };
  /** Instances that were started; the number of the latest. */
  let instances = 0;
  return {
    plan: (version) => {
      versions.starting(version);
      const { manifest, folder } = version;
      const part = roster.partOf(manifest.name);
      // Processes of one module share its settings, its user and its data folder.
      const owner = part?.module ?? manifest.name;
      return {
        manifest,
        number: ++instances,
        folder,
        owner,
        environment: part?.environment ?? {},
        dataFolder: options.dataFolder(owner),
        config: options.config[owner] ?? {},
        startTimeoutMs: options.startTimeoutMs,
        oomScoreAdj: scoreOf(manifest.name),
      };
    },
  };
}
