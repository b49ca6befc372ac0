/** Which limits this host could hold a plugin to, found by looking and by trying, with nothing left behind. */

import { accessSync, constants, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { CgroupPlace, CgroupPlaces, Controller } from "./cgroup-place.ts";
import type { Support } from "./enforcement.ts";
import { ownCgroupPlaces } from "./limits.ts";
import { controllerMissing, notWritable, type Obstacle, occupiedBy } from "./run-cgroups.ts";
import { canWatchStatm } from "./statm-watch.ts";

/** How one limit is held with its controller, and what there is without. */
interface Way {
  what: string;
  controller: Controller;
  without: { mechanism: string | null; means: string };
}

const ways: readonly Way[] = [
  {
    what: "limits.memory",
    controller: "memory",
    without: canWatchStatm
      ? { mechanism: "statm watch", means: "conductor looks 4 to 10 times a second, and kills" }
      : { mechanism: null, means: "memory is not limited" },
  },
  {
    what: "limits.cpu",
    controller: "cpu",
    without: { mechanism: "nice 10", means: "a plugin yields to others, and has no quota" },
  },
  {
    what: "limits.processes",
    controller: "pids",
    without: { mechanism: null, means: "processes are not limited" },
  },
];

/** What is in the way of a cgroup below `place`; null: nothing. */
function obstacleAt(controller: Controller, { version, folder }: CgroupPlace): Obstacle | null {
  const probe = join(folder, `conductor-probe-${controller}-${process.pid}`);
  try {
    const obstacle = version === 2 ? controllerMissing(folder, controller) : null;
    if (obstacle) return obstacle;
    const occupied = version === 2 ? occupiedBy(folder, [process.pid]) : null;
    if (occupied) return occupied;
    // Permission bits lie to root, so that only making one tells.
    mkdirSync(probe);
    rmdirSync(probe);
    if (version === 2) accessSync(join(folder, "cgroup.subtree_control"), constants.W_OK);
    return null;
  } catch (error) {
    return notWritable(version, controller, folder, error);
  }
}

/** A line for each limit that conductor itself holds, for a conductor started where this process was. */
export function limitsSupport(places: CgroupPlaces = ownCgroupPlaces()): Support[] {
  return ways.map(({ what, controller, without }): Support => {
    const place = places[controller];
    const obstacle = place
      ? obstacleAt(controller, place)
      : {
          missing: `no ${controller} cgroup is mounted`,
          remedy: "mount cgroup version 2 at /sys/fs/cgroup (systemd does)",
        };
    if (place && obstacle === null)
      return { what, mechanism: `cgroup v${place.version}`, missing: null, remedy: null };
    const { mechanism, means } = without;
    return { what, mechanism, missing: `${obstacle?.missing}: ${means}`, remedy: obstacle?.remedy ?? null };
  });
}
