/** Where the memory of a running instance is to be measured. */

import type { Instance } from "./instance.ts";

export interface FootprintTarget {
  plugin: string;
  /** The processes that were started; their descendants belong to it too. */
  rootPids: number[];
  /** A cgroup that holds all of this instance and nothing else; null where there is none. */
  cgroup: { version: 1 | 2; path: string } | null;
}

/** One target for the instance, or none while it does not run. */
export function footprintTarget(plugin: string, instance: Instance | null): FootprintTarget[] {
  if (!instance?.root) return [];
  const { cgroup } = instance.limit;
  const place = cgroup ? { version: cgroup.version, path: cgroup.folder } : null;
  return [{ plugin, rootPids: [instance.root.pid], cgroup: place }];
}
