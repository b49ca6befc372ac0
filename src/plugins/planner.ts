/** What each start of a plugin is made from. */

import type { InstancePlan } from "./instance-ports.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import { oomScoreAdj } from "./oom-score.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { Roster } from "./roster.ts";

export interface PluginPlanner {
  plan(version: PluginVersion): InstancePlan;
}

export function planner(options: PluginManagerOptions, roster: Roster): PluginPlanner {
  /** The kernel's order of killing is the degradation order: unnamed ones by name, then the named ones. */
  const scoreOf = (plugin: string): number => {
    const names = roster
      .supervisors()
      .map(({ name }) => name)
      .sort();
    const unnamed = names.filter((name) => !options.order.includes(name));
    const ranked = [...unnamed, ...options.order.filter((name) => names.includes(name))];
    return oomScoreAdj(ranked.indexOf(plugin), ranked.length);
  };
  return {
    plan: ({ manifest, folder }) => ({
      manifest,
      folder,
      dataFolder: options.dataFolder(manifest.name),
      config: options.config[manifest.name] ?? {},
      startTimeoutMs: options.startTimeoutMs,
      oomScoreAdj: scoreOf(manifest.name),
    }),
  };
}
