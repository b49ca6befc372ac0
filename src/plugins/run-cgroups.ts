/** The cgroups of a run, `OWN/conductor-RUNID` in each tree: taken at its start, removed at its end or by its guard. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupPlaces, Controller } from "./cgroup-place.ts";
import { goFirstIn } from "./own-priority.ts";
import { cgroupPids, removeCgroup } from "./plugin-cgroup.ts";

/** The folder of a run in one tree. */
export interface RunFolder {
  version: 1 | 2;
  folder: string;
}

/** What a run may use of one controller: the folder in which its plugins' cgroups are made, or why there is none. */
export type Taken = { run: RunFolder } | { run: null; why: string };

export const controllers: readonly Controller[] = ["memory", "cpu", "pids"];

/** The code of a system error, or what else was thrown. */
export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Why something cannot be had, and what would help, each for a person. */
export interface Obstacle {
  missing: string;
  remedy: string;
}

const sentence = ({ missing, remedy }: Obstacle): string => `${missing}; ${remedy}`;

/** Nothing can be made in `folder`. */
export function notWritable(
  version: 1 | 2,
  controller: Controller,
  folder: string,
  error: unknown,
): Obstacle {
  return {
    missing: `${folder} is not writable (${codeOf(error)})`,
    remedy: remedyFor(version, controller, error),
  };
}

function remedyFor(version: 1 | 2, controller: Controller, error: unknown): string {
  if (codeOf(error) === "EROFS")
    return "leave out ProtectControlGroups in its systemd unit, or give its container cgroups to write to";
  return version === 2
    ? "run it as a systemd service with Delegate=yes, or as root"
    : `run it as root, or give this user a ${controller} cgroup`;
}

/**
 * Why no controller of version 2 can be used below `own`, and null when nothing is in the way: it allows them only where
 * no process is in the cgroup itself, and the conductor can move none but its own away.
 */
export function occupiedBy(own: string, ownPids: readonly number[]): Obstacle | null {
  const ours = new Set(ownPids);
  const others = cgroupPids(own).filter((pid) => !ours.has(pid)).length;
  if (others === 0 || isRootCgroup(own)) return null;
  const processes = others === 1 ? "another process" : `${others} other processes`;
  return {
    missing: `${own} holds ${processes}, so limits cannot be set below it`,
    remedy: "run conductor as a service of its own",
  };
}

/** Why version 2 has no `controller` in `own`; null when it has. Throws when `own` cannot be read. */
export function controllerMissing(own: string, controller: Controller): Obstacle | null {
  const available = readFileSync(join(own, "cgroup.controllers"), "utf8").split(/\s+/);
  if (available.includes(controller)) return null;
  return {
    missing: `${own} has no ${controller} controller`,
    remedy: "for systemd set Delegate=yes, or Delegate=cpu memory pids",
  };
}

function isRootCgroup(folder: string): boolean {
  try {
    readFileSync(join(folder, "cgroup.type"));
    return false;
  } catch {
    return true; // Only the root of a version 2 tree has no such file.
  }
}

/** Makes the folder of the run in each tree. Never throws: what is not possible is the reason, for each controller. */
export function takeRunCgroups(
  places: CgroupPlaces,
  runId: string,
  ownPids: readonly number[],
): Record<Controller, Taken> {
  const taken: Record<Controller, Taken> = {
    memory: absent("memory"),
    cpu: absent("cpu"),
    pids: absent("pids"),
  };
  const present = controllers.flatMap((controller) => {
    const place = places[controller];
    return place ? [{ controller, place }] : [];
  });
  for (const [own, wanted] of Map.groupBy(present, ({ place }) => place.folder)) {
    const version = wanted[0]?.place.version ?? 2;
    const run: RunFolder = { version, folder: join(own, `conductor-${runId}`) };
    const names = wanted.map(({ controller }) => controller);
    const refused = version === 2 ? delegate(own, run, names, ownPids) : makeFolder(own, run, names);
    for (const controller of names) {
      const obstacle = refused.get(controller);
      taken[controller] = obstacle ? { run: null, why: sentence(obstacle) } : { run };
    }
    if (refused.size === names.length) releaseRunCgroups(version, run.folder, ownPids);
  }
  return taken;
}

const absent = (controller: Controller): Taken => ({ run: null, why: `no ${controller} cgroup is mounted` });

/** Why each controller cannot be used; one that can is not in it. */
type Refused = Map<Controller, Obstacle>;

const refuseAll = (names: readonly Controller[], why: (controller: Controller) => Obstacle): Refused =>
  new Map(names.map((controller) => [controller, why(controller)]));

function makeFolder(own: string, { version, folder }: RunFolder, names: readonly Controller[]): Refused {
  try {
    mkdirSync(folder);
    return new Map();
  } catch (error) {
    return refuseAll(names, (controller) => notWritable(version, controller, own, error));
  }
}

/** Version 2: the conductor moves to a leaf, then each controller is enabled by itself, so that none costs the others. */
function delegate(
  own: string,
  run: RunFolder,
  names: readonly Controller[],
  ownPids: readonly number[],
): Refused {
  const refused: Refused = new Map();
  try {
    for (const controller of names) {
      const missing = controllerMissing(own, controller);
      if (missing !== null) refused.set(controller, missing);
    }
    if (refused.size === names.length) return refused;
    const occupied = occupiedBy(own, ownPids);
    if (occupied !== null) return refuseAll(names, (controller) => refused.get(controller) ?? occupied);
    mkdirSync(run.folder);
    if (!isRootCgroup(own)) moveToLeaf(run.folder, ownPids);
  } catch (error) {
    return refuseAll(names, (controller) => notWritable(2, controller, own, error));
  }
  for (const controller of names) {
    if (refused.has(controller)) continue;
    try {
      for (const folder of [own, run.folder])
        writeFileSync(join(folder, "cgroup.subtree_control"), `+${controller}`);
    } catch (error) {
      refused.set(controller, notWritable(2, controller, join(own, "cgroup.subtree_control"), error));
    }
  }
  if (!refused.has("cpu")) goFirstIn(join(run.folder, "self"));
  return refused;
}

function moveToLeaf(runFolder: string, ownPids: readonly number[]): void {
  const self = join(runFolder, "self");
  mkdirSync(self);
  for (const pid of ownPids) writeFileSync(join(self, "cgroup.procs"), String(pid));
}

/** Moves `ownPids` out of the run's leaf and removes every cgroup of the run; true when all are gone. */
export function releaseRunCgroups(version: 1 | 2, runFolder: string, ownPids: readonly number[]): boolean {
  const attempt = (run: () => void): void => {
    try {
      run();
    } catch {
      return; // Each step helps the next one, and the removal at the end tells whether they did.
    }
  };
  const own = join(runFolder, "..");
  // A leaf of ours means that nothing else was in our cgroup: what was enabled there, was enabled by us.
  if (version === 2 && ownPids.length > 0 && existsSync(join(runFolder, "self"))) {
    for (const folder of [runFolder, own])
      for (const controller of controllers)
        attempt(() => writeFileSync(join(folder, "cgroup.subtree_control"), `-${controller}`));
    for (const pid of ownPids) attempt(() => writeFileSync(join(own, "cgroup.procs"), String(pid)));
  }
  attempt(() => {
    for (const entry of readdirSync(runFolder, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroup(join(runFolder, entry.name));
  });
  return removeCgroup(runFolder);
}
