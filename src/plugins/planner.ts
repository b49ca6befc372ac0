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
    const rank = (name: string) => (kept.has(name) ? order.length - 1.5 : order.indexOf(name));
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
      return {
        manifest,
        number: ++instances,
        folder,
        dataFolder: options.dataFolder(manifest.name),
        config: options.config[manifest.name] ?? {},
        startTimeoutMs: options.startTimeoutMs,
        oomScoreAdj: scoreOf(manifest.name),
      };
    },
  };
}
