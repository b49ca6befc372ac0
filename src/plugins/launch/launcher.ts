/**
 * The launcher: this executable for the few milliseconds before it becomes a plugin. It reads what the plugin may do from
 * its socket, makes the kernel hold that for its own process, tells what took effect, and executes the program: same
 * pid, same thread, since Landlock and seccomp bind a thread. Where something cannot be held and the plugin is not
 * trusted, it says so and ends without having run anything of the plugin.
 *
 * Order matters. Rules are made while everything can still be opened; the cgroup is entered when the memory that a
 * launcher needs is taken, so that it is not counted as the plugin's; open files are limited when no more are opened,
 * and while that may still be raised; the user changes before the death signal, which a change clears; no_new_privs
 * comes before Landlock and seccomp, which need it.
 */

import { readSync, statSync, writeFileSync, writeSync } from "node:fs";
import { getPriority } from "node:os";
import type { Enforced, PermissionsEnforced } from "../enforcement.ts";
import { bubblewrapArguments } from "./bubblewrap.ts";
import { makeRules, restrict } from "./kernel-rules.ts";
import { Libc } from "./libc.ts";
import {
  becomeUser,
  dieWithParent,
  forbidNewPrivileges,
  limitOpenFiles,
  limitProcesses,
} from "./privileges.ts";
import { makeMountsReadOnly } from "./read-only-mounts.ts";
import { refusal } from "./refusal.ts";
import { type LaunchMessage, type LaunchSpec, launchFds, longestSpecBytes } from "./spec.ts";
import { probeSupport } from "./support-probe.ts";

/** Signals that this runtime ignores, and a program expects not to be. */
const ignoredSignals = { SIGPIPE: 13, SIGXFSZ: 25 } as const;

function readSpec(): LaunchSpec {
  const chunks: Buffer[] = [];
  const piece = Buffer.alloc(64 * 1024);
  for (let total = 0; total <= longestSpecBytes; ) {
    const count = readSync(launchFds.status, piece);
    if (count === 0) throw new Error("the conductor is gone");
    chunks.push(Buffer.from(piece.subarray(0, count)));
    total += count;
    if (piece[count - 1] === 0x0a) return JSON.parse(Buffer.concat(chunks).toString("utf8")) as LaunchSpec;
  }
  throw new Error(`what it is to start is described in more than ${longestSpecBytes} bytes`);
}

const tell = (message: LaunchMessage): void => {
  writeSync(launchFds.status, `${JSON.stringify(message)}\n`);
};

/** Its output goes where the plugin's will: what fails here is in the plugin's log. */
function arrangeDescriptors(libc: Libc, channel: LaunchSpec["channel"]): void {
  if (channel === "stdin") {
    libc.dup2(launchFds.channel, 0);
    libc.close(launchFds.channel);
  }
  libc.dup2(launchFds.stdout, 1);
  libc.dup2(launchFds.stderr, 2);
  libc.close(launchFds.stdout);
  libc.close(launchFds.stderr);
  libc.closeOnExec(launchFds.status);
}

function kindOf(path: string): "folder" | "file" | null {
  try {
    return statSync(path).isDirectory() ? "folder" : "file";
  } catch {
    return null; // There is nothing.
  }
}

/** Writes `text` to a file of the kernel; null, or the error's code. */
function put(path: string, text: string): string | null {
  try {
    writeFileSync(path, text);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Becomes the plugin, or yields why not. */
function become(libc: Libc, spec: LaunchSpec): string {
  for (const signal of Object.values(ignoredSignals)) libc.resetSignal(signal);
  const { path, argv, environment } = spec;
  if (spec.bubblewrap !== null)
    return libc.execve(spec.bubblewrap.path, ["bwrap", ...bubblewrapArguments(spec, kindOf)], environment);
  const failure = libc.execve(path, argv, environment);
  // A script without its first line "#!": the shell's, as every shell has it.
  return failure === "ENOEXEC"
    ? libc.execve("/bin/sh", ["sh", path, ...argv.slice(1)], environment)
    : failure;
}

const executionFailures: Record<string, string> = {
  ENOENT: "no such program, or the interpreter that its first line names does not exist",
  EACCES: "not executable; try chmod +x",
  EAGAIN: "its user has too many processes; raise limits.processes",
  E2BIG: "its arguments and environment are too large",
  ENOEXEC: "not executable: the kernel does not know its format",
};

/** Sets everything up and executes the program: comes back only with why it did not. */
function launch(libc: Libc, spec: LaunchSpec): string {
  try {
    process.chdir(spec.folder);
  } catch (error) {
    return `cannot be started: the folder ${spec.folder} cannot be entered (${(error as NodeJS.ErrnoException).code})`;
  }
  if (spec.oomScoreAdj !== null) put("/proc/self/oom_score_adj", String(spec.oomScoreAdj));
  const niceness = spec.nice ?? Math.max(0, getPriority());
  if (niceness !== getPriority()) libc.setpriority(niceness);
  const rules = makeRules(libc, spec);
  const cgroupProblems = spec.cgroupProcsFiles.flatMap((procsFile) => {
    const code = put(procsFile, String(process.pid));
    return code === null ? [] : [{ procsFile, code }];
  });
  const openFiles = limitOpenFiles(libc, spec.openFiles);
  const processes = spec.processes === null ? null : limitProcesses(libc, spec.processes);
  const mounts = spec.user.kind === "root" && spec.bubblewrap === null ? shieldRoot(libc, spec) : null;
  const user = spec.bubblewrap === null ? becomeUser(libc, spec.user, mounts) : wrappedUser(spec);
  const privileges = forbidNewPrivileges(libc);
  if (!dieWithParent(libc, spec.parentPid)) return "conductor is gone";
  const { files, net } = restrict(libc, rules);
  const env = { mechanism: "clean environment", reason: null };
  const permissions: PermissionsEnforced = { env, net, files, user, privileges };
  const refused = spec.trusted ? null : refusal(permissions);
  if (refused !== null) return refused;
  tell({ report: { permissions, openFiles, processes, cgroupProblems } });
  const failure = become(libc, spec);
  return `${JSON.stringify(spec.path)}: ${executionFailures[failure] ?? `cannot be executed (${failure})`}`;
}

/** Keeps one that stays root from giving away what is root's; null, or why not. */
function shieldRoot(libc: Libc, spec: LaunchSpec): string | null {
  const failure = makeMountsReadOnly(libc, [...spec.files.writable, "/dev/shm", "/dev/pts"]);
  // The folder that was entered may be below what was mounted anew.
  process.chdir(spec.folder);
  return failure;
}

/** bwrap drops every capability itself. */
const wrappedUser = ({ user }: LaunchSpec): Enforced =>
  user.kind === "conductor"
    ? { mechanism: null, reason: user.reason }
    : { mechanism: "root without capabilities", reason: user.kind === "root" ? user.reason : null };

/** The launcher's whole life: it ends by becoming the plugin. Yields the exit code when it could not. */
export function runLauncher(argv: readonly string[]): number {
  if (argv[0] === "probe") {
    process.stdout.write(`${JSON.stringify(probeSupport())}\n`);
    return 0;
  }
  let spec: LaunchSpec;
  try {
    spec = readSpec();
  } catch {
    process.stderr.write("__launch is started by conductor itself; run: conductor serve\n");
    return 2;
  }
  try {
    const libc = Libc.open();
    arrangeDescriptors(libc, spec.channel);
    tell({ failure: launch(libc, spec) });
  } catch (error) {
    tell({ failure: `cannot be started: ${error instanceof Error ? error.message : error}` });
  }
  return 1;
}
