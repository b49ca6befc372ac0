/** Landlock: the kernel's own sandbox for files and TCP, set up by a process for itself and kept through exec. */

import { constants } from "node:fs";
import type { Access, Grant } from "./file-rules.ts";
import { landlockTcp } from "./landlock-versions.ts";
import type { Libc } from "./libc.ts";
import { filtered } from "./system-call-filter.ts";

/** Bits of `handled_access_fs`, and the first ABI that has them (include/uapi/linux/landlock.h). */
const right = {
  execute: 1n << 0n,
  writeFile: 1n << 1n,
  readFile: 1n << 2n,
  readDir: 1n << 3n,
  /** Remove, and make nodes of every kind: bits 4 to 12. */
  tree: 0b1_1111_1111n << 4n,
  refer: 1n << 13n,
  truncate: 1n << 14n,
  ioctlDevice: 1n << 15n,
} as const;
const makeDeviceNodes = (1n << 6n) | (1n << 11n);

const firstAbi = { refer: 2, truncate: 3, tcp: landlockTcp.abi, ioctlDevice: 5, scopes: 6 } as const;
const tcpRights = { bind: 1n, connect: 2n } as const;
/** Connecting to abstract unix sockets, and signals: only within the sandbox. */
const scopes = 3n;

/** The newest ABI whose rights are known here; a newer kernel is asked for these only. */
const newestAbi = 7;

/** Every right on files that this ABI can deny. */
export function handledFileRights(abi: number): bigint {
  const { execute, writeFile, readFile, readDir, tree, refer, truncate, ioctlDevice } = right;
  return (
    execute |
    writeFile |
    readFile |
    readDir |
    tree |
    (abi >= firstAbi.refer ? refer : 0n) |
    (abi >= firstAbi.truncate ? truncate : 0n) |
    (abi >= firstAbi.ioctlDevice ? ioctlDevice : 0n)
  );
}

const byAccess: Record<Access, bigint> = {
  list: right.readDir,
  read: right.execute | right.readFile | right.readDir,
  device: right.writeFile | right.readFile | right.readDir | right.truncate | right.ioctlDevice,
  write:
    right.execute |
    right.writeFile |
    right.readFile |
    right.readDir |
    (right.tree & ~makeDeviceNodes) |
    right.refer |
    right.truncate,
};

/** What may be allowed on a path that is no folder. */
const onFiles = right.execute | right.writeFile | right.readFile | right.truncate | right.ioctlDevice;

/** The rights of one grant in the terms of this ABI. */
export const grantedRights = (access: Access, isFolder: boolean, abi: number): bigint =>
  byAccess[access] & handledFileRights(abi) & (isFolder ? ~0n : onFiles);

/** The Landlock ABI of this kernel: 0 where it has none or it is switched off. */
export function landlockAbi(libc: Libc): number {
  const asked = libc.syscall("landlock_create_ruleset", 0, 0, 1);
  return asked.ok ? Math.min(asked.value, newestAbi) : 0;
}

/** Whether it may be there and a filter of system calls denies even the question. */
export function landlockDenied(libc: Libc): boolean {
  const asked = libc.syscall("landlock_create_ruleset", 0, 0, 1);
  return !asked.ok && asked.error === "EPERM";
}

export const landlockMissing =
  "this kernel offers no Landlock; it needs Linux 5.13 and, where it is switched off, landlock in the boot parameter lsm=";

const landlockTcpMissing = `this kernel's Landlock cannot hold TCP ports; it needs Linux ${landlockTcp.linux} (ABI ${landlockTcp.abi})`;

const O_PATH = 0o10000000;

export interface RulesetOptions {
  abi: number;
  /** Null leaves files alone. */
  grants: readonly Grant[] | null;
  /** Allow binding this TCP port only and connecting nowhere; null leaves TCP alone. */
  tcpPort: number | null;
}

export type Ruleset = { ok: true; fd: number } | { ok: false; reason: string };

/** Makes a ruleset; paths that do not exist are left out. It takes effect with `restrictSelf`. */
export function makeRuleset(libc: Libc, { abi, grants, tcpPort }: RulesetOptions): Ruleset {
  if (abi === 0)
    return {
      ok: false,
      reason: landlockDenied(libc) ? `${filtered.missing}; ${filtered.remedy}` : landlockMissing,
    };
  if (tcpPort !== null && abi < firstAbi.tcp) return { ok: false, reason: landlockTcpMissing };
  const handled = grants === null ? 0n : handledFileRights(abi);
  const tcp = tcpPort === null ? 0n : tcpRights.bind | tcpRights.connect;
  const attributes = new BigUint64Array([handled, tcp, abi >= firstAbi.scopes && grants ? scopes : 0n]);
  const size = abi >= firstAbi.scopes ? 24 : abi >= firstAbi.tcp ? 16 : 8;
  const made = libc.syscall("landlock_create_ruleset", attributes, size, 0);
  if (!made.ok) return { ok: false, reason: `the kernel refuses a Landlock ruleset (${made.error})` };
  for (const grant of grants ?? []) addPath(libc, made.value, grant, abi);
  if (tcpPort !== null) {
    const rule = new BigUint64Array([tcpRights.bind, BigInt(tcpPort)]);
    const added = libc.syscall("landlock_add_rule", made.value, 2, rule, 0);
    if (!added.ok)
      return { ok: false, reason: `the kernel refuses a Landlock rule for TCP (${added.error})` };
  }
  return { ok: true, fd: made.value };
}

function addPath(libc: Libc, ruleset: number, { path, access }: Grant, abi: number): void {
  const directory = libc.open(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW | 0o2000000);
  const opened = directory.ok ? directory : libc.open(path, O_PATH | constants.O_NOFOLLOW | 0o2000000);
  if (!opened.ok) return; // Gone, or never there: nothing to allow.
  // struct landlock_path_beneath_attr is packed: 8 bytes of rights, 4 of descriptor.
  const rule = Buffer.alloc(12);
  rule.writeBigUInt64LE(grantedRights(access, directory.ok, abi), 0);
  rule.writeInt32LE(opened.value, 8);
  // A refused rule (a link that took the place of a file) only allows less.
  libc.syscall("landlock_add_rule", ruleset, 1, rule, 0);
  libc.close(opened.value);
}

/** Takes the ruleset into force for this thread and whatever it becomes; needs no_new_privs. Null, or the error. */
export function restrictSelf(libc: Libc, ruleset: number): string | null {
  const done = libc.syscall("landlock_restrict_self", ruleset, 0);
  libc.close(ruleset);
  return done.ok ? null : `the kernel refuses to enter Landlock (${done.error})`;
}
