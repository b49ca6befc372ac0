/** Giving up what a plugin is not to have: user, capabilities, new privileges, more files, outliving the conductor. */

import type { Enforced } from "../enforcement.ts";
import type { Libc } from "./libc.ts";
import type { LaunchUser } from "./spec.ts";

/** include/uapi/linux/prctl.h */
const option = {
  parentDeathSignal: 1,
  dropBoundingCapability: 24,
  noNewPrivileges: 38,
  ambientCapabilities: 47,
} as const;
const clearAllAmbient = 4;
/** The kernel refuses the first number that is no capability. */
const mostCapabilities = 64;
const sigkill = 9;

const limitOf = { core: 4, processes: 6, openFiles: 7 } as const;

/** No more open files than `wanted`, or than the hard limit where that cannot be raised; no core dumps. */
export function limitOpenFiles(libc: Libc, wanted: number): Enforced {
  libc.setrlimit(limitOf.core, 0n, 0n);
  const goal = BigInt(wanted);
  if (libc.setrlimit(limitOf.openFiles, goal, goal).ok) return { mechanism: "RLIMIT_NOFILE", reason: null };
  const hard = libc.getrlimit(limitOf.openFiles)?.hard ?? goal;
  const second = libc.setrlimit(limitOf.openFiles, hard, hard);
  if (!second.ok) return { mechanism: null, reason: `limits.openFiles cannot be set here (${second.error})` };
  return {
    mechanism: "RLIMIT_NOFILE",
    reason: `conductor's own hard limit is ${hard}, and ${wanted} is more; raise it (ulimit -Hn, LimitNOFILE)`,
  };
}

/** The kernel counts every process and thread of the user, so this needs a user of the plugin's own. */
export function limitProcesses(libc: Libc, most: number): Enforced {
  const done = libc.setrlimit(limitOf.processes, BigInt(most), BigInt(most));
  return done.ok
    ? { mechanism: "RLIMIT_NPROC", reason: null }
    : { mechanism: null, reason: `RLIMIT_NPROC cannot be set (${done.error})` };
}

/**
 * Becomes the user, without any capability. A refused step keeps what was, and is the reason. `mounts` is why root's files
 * are not shielded by read-only mounts; null when they are.
 */
export function becomeUser(libc: Libc, user: LaunchUser, mounts: string | null): Enforced {
  if (user.kind === "conductor") return { mechanism: null, reason: user.reason };
  // Without this capability the next steps still empty the sets, and no_new_privs keeps exec from filling them.
  for (let capability = 0; capability < mostCapabilities; capability++)
    if (!libc.prctl(option.dropBoundingCapability, capability).ok) break;
  libc.prctl(option.ambientCapabilities, clearAllAmbient);
  const changed = user.kind === "own" ? changeUser(libc, user) : null;
  const dropped = dropCapabilities(libc);
  if (dropped !== null) return { mechanism: null, reason: dropped };
  if (user.kind === "own" && changed === null) return { mechanism: `uid ${user.uid}`, reason: null };
  const open = mounts === null ? "" : `; it can change the permissions of root's files: ${mounts}`;
  return {
    mechanism: "root without capabilities",
    reason: `${user.kind === "root" ? user.reason : changed}${open}`,
  };
}

function changeUser(
  libc: Libc,
  { uid, gid, groups: others }: Extract<LaunchUser, { kind: "own" }>,
): string | null {
  const groups = new Uint32Array([gid, ...others]);
  const steps = [
    () => libc.syscall("setgroups", groups.length, groups),
    () => libc.syscall("setresgid", gid, gid, gid),
    () => libc.syscall("setresuid", uid, uid, uid),
  ];
  for (const step of steps) {
    const done = step();
    if (!done.ok)
      return `the kernel refuses uid ${uid} (${done.error}); give conductor CAP_SETUID and CAP_SETGID`;
  }
  return null;
}

function dropCapabilities(libc: Libc): string | null {
  // struct __user_cap_header_struct of version 3, and twice effective, permitted, inheritable.
  const done = libc.syscall("capset", new Uint32Array([0x20080522, 0]), new Uint32Array(6));
  return done.ok ? null : `its capabilities cannot be dropped (${done.error})`;
}

/** From here on no program it executes gains anything: setuid bits and file capabilities count for nothing. */
export function forbidNewPrivileges(libc: Libc): Enforced {
  const done = libc.prctl(option.noNewPrivileges, 1);
  return done.ok
    ? { mechanism: "no_new_privs", reason: null }
    : { mechanism: null, reason: `the kernel knows no no_new_privs (${done.error}); it needs Linux 3.5` };
}

/** Dies with the conductor. After every change of user, which clears this. False when the conductor is gone already. */
export function dieWithParent(libc: Libc, parentPid: number): boolean {
  libc.prctl(option.parentDeathSignal, sigkill);
  return process.ppid === parentPid;
}
