/** What a plugin may do, decided before it starts: from its manifest, and from what its own user can reach. */

import { readdirSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { InstancePlan } from "../instance-ports.ts";
import type { Manifest } from "../manifest.ts";
import { findBubblewrap } from "./find-bubblewrap.ts";
import { whyNoOwnUsers } from "./own-users.ts";
import { pluginUser } from "./plugin-user.ts";
import { closedPath, type ReadBits, type Want } from "./reach.ts";
import type { LaunchSpec, LaunchUser, NetRule, Withheld } from "./spec.ts";
import { dataFolder, handOver, writableFolder } from "./writable-folders.ts";

/** What the manager knows and a plan needs, whatever the plugin. */
export interface SandboxPorts {
  /** Every plugin's name: each gets a user of its own among them. */
  pluginNames(): readonly string[];
  /** What no plugin may read: conductor's state and configuration. */
  hiddenPaths(): readonly string[];
  /** Means to do without, as a kernel that lacks them. */
  withhold: readonly Withheld[];
}

export type SandboxPlan = Pick<
  LaunchSpec,
  | "openFiles"
  | "processes"
  | "trusted"
  | "net"
  | "user"
  | "files"
  | "bubblewrap"
  | "bubblewrapMissing"
  | "withhold"
>;

export type PlannedSandbox = { ok: true; plan: SandboxPlan } | { ok: false; message: string };

/** Most files of a plugin's folder whose permission bits are looked at. */
const mostFilesRead = 1_000;

/** Most groups that a plugin is put in. */
const mostGroups = 16;

const readBits: ReadBits = (path) => {
  try {
    const { mode, uid, gid } = statSync(path);
    return { mode, uid, gid };
  } catch {
    return null; // Not there, so nothing to open.
  }
};

const real = (path: string): string[] => {
  try {
    return [realpathSync(path)];
  } catch {
    return []; // It does not exist (yet), so there is nothing to hide or to read.
  }
};

function netOf({ permissions, health }: Manifest): NetRule {
  if (permissions.net) return { kind: "all" };
  return health.kind === "http" || health.kind === "tcp"
    ? { kind: "listen", port: health.port }
    : { kind: "none" };
}

/** The files right in the plugin's folder: code and settings, all to be read. */
function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).slice(0, mostFilesRead);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
}

/** Groups that may use these devices, or those in these folders, as a desktop's user is in "audio" and "render". */
function deviceGroups(devices: readonly string[]): number[] {
  const groups = new Set<number>();
  const note = (path: string) => {
    const found = statSync(path, { throwIfNoEntry: false });
    const isDevice = found?.isCharacterDevice() || found?.isBlockDevice();
    // Root's own group would be a gift of more than the device.
    if (found && isDevice && (found.mode & 0o060) === 0o060 && found.gid !== 0) groups.add(found.gid);
    return found?.isDirectory() ?? false;
  };
  for (const path of devices)
    if (note(path)) for (const name of readdirSync(path).slice(0, mostFilesRead)) note(join(path, name));
  return [...groups].slice(0, mostGroups);
}

/** Programs and folders as they are named, and where that leads to. */
const withTarget = (path: string, bits: number): Want[] =>
  [path, ...real(path)].map((each) => ({ path: each, bits }));

function userOf(
  { owner, folder }: InstancePlan,
  wants: readonly Want[],
  writable: readonly string[],
  devices: readonly string[],
  ports: SandboxPorts,
): LaunchUser {
  if (process.getuid?.() !== 0)
    return {
      kind: "conductor",
      reason: "runs as the conductor's own user; run conductor as root to give each plugin a user of its own",
    };
  const obstacle = whyNoOwnUsers();
  if (obstacle !== null)
    return {
      kind: "root",
      reason: `it cannot have a user of its own: ${obstacle.missing}; ${obstacle.remedy}`,
    };
  const uid = pluginUser(owner, ports.pluginNames());
  const all: Want[] = [
    ...wants,
    ...(folder === null ? [] : withTarget(folder, 5)),
    ...(folder === null ? [] : filesIn(folder).map((path) => ({ path, bits: 4 }))),
    // What it writes to becomes its own: only the way there has to be open.
    ...writable.map((path) => ({ path: join(path, ".."), bits: 1 })),
  ];
  const closed = closedPath(uid, all, readBits);
  return closed === null
    ? { kind: "own", uid, gid: uid, groups: deviceGroups(devices) }
    : { kind: "root", reason: `it cannot have a user of its own (uid ${uid}): ${closed}` };
}

type Folders = { ok: true; paths: string[] } | { ok: false; message: string };

function writableFolders({ manifest, folder, dataFolder: data }: InstancePlan): Folders {
  const paths: string[] = [];
  // A plugin inside the executable has no folder: what it writes goes to its data folder.
  const made = folder === null ? [] : manifest.permissions.write.map((path) => writableFolder(folder, path));
  if (data !== null) made.push(dataFolder(data, folder));
  for (const each of made) {
    if (!each.ok) return each;
    paths.push(each.path);
  }
  return { ok: true, paths };
}

const rootInBubblewrap: LaunchUser = {
  kind: "root",
  reason:
    "bubblewrap needs root to make its namespaces; inside them root owns nothing that can be written to",
};

/** Plans it, makes the folders that it writes to and hands them over. `program` is absolute. */
export function planSandbox(
  plan: InstancePlan,
  ports: SandboxPorts,
  program: string,
  selfCommand: readonly string[],
): PlannedSandbox {
  const { manifest, folder } = plan;
  const folders = writableFolders(plan);
  if (!folders.ok) return folders;
  // From source, this program is the runtime with a script.
  const scripts = manifest.runtime === "bun" ? selfCommand.slice(1).filter(isAbsolute) : [];
  const wants = [...withTarget(program, 5), ...scripts.flatMap((path) => withTarget(path, 4))];
  const devices = manifest.permissions.devices.flatMap(real);
  const asked = manifest.permissions.sandbox === "bubblewrap";
  const bubblewrap = asked ? findBubblewrap() : null;
  const user =
    bubblewrap !== null && process.getuid?.() === 0
      ? rootInBubblewrap
      : userOf(plan, wants, folders.paths, devices, ports);
  try {
    if (user.kind !== "conductor")
      for (const path of folders.paths) handOver(path, user.kind === "own" ? user.uid : 0);
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
  return {
    ok: true,
    plan: {
      openFiles: manifest.limits.openFiles,
      processes: user.kind === "own" ? manifest.limits.processes * manifest.instances : null,
      // Who built the executable vouched for what is inside it.
      trusted: manifest.trust || folder === null,
      net: netOf(manifest),
      user,
      files: {
        hidden: ports.hiddenPaths().flatMap(real),
        readable: [program, ...scripts, ...(folder === null ? [] : [folder])].flatMap(real),
        writable: folders.paths,
        devices,
      },
      bubblewrap,
      bubblewrapMissing: asked && bubblewrap === null,
      withhold: ports.withhold,
    },
  };
}
