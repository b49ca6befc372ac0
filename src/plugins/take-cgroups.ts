/** Takes the cgroups of a run, if it may, and tells the guard of them. */

import type { GuardClient } from "./guard-client.ts";
import { Limits } from "./limits.ts";
import type { PluginManagerOptions } from "./manager-options.ts";

export function takeCgroups(options: PluginManagerOptions, guard: GuardClient): Limits {
  const { runId, cgroupPlace, log } = options;
  const ownPids = () => [process.pid, ...(guard.pid === null ? [] : [guard.pid])];
  const limits = new Limits({
    runId,
    ownPids,
    ...(cgroupPlace === undefined ? {} : { place: cgroupPlace }),
  });
  if (limits.runFolders.length > 0) guard.setCgroups(limits.runFolders);
  const reasons = limits.reasons();
  if (Object.keys(reasons).length > 0) log.warn("plugins.no_cgroups", reasons);
  return limits;
}
