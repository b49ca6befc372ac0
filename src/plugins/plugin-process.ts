/** Starts one program as a plugin's process: own session, within its permissions and limits, its end seen at once. */

import type { Clock } from "../clock.ts";
import { environmentMark } from "./child-environment.ts";
import type { Enforced } from "./enforcement.ts";
import { type Launched, launchOver } from "./launch/launch-link.ts";
import type { PlannedSandbox, SandboxPlan } from "./launch/sandbox-plan.ts";
import type { LaunchSpec } from "./launch/spec.ts";
import { setOomScoreAdj } from "./oom-score.ts";
import { readProcess } from "./proc-table.ts";

/** How a process ended: an exit code, or the signal that ended it. */
export interface ExitStatus {
  exitCode: number | null;
  signal: string | null;
}

export interface SpawnOptions {
  plugin: string;
  runId: string;
  /** Number of the instance in the run. */
  instance: number;
  command: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string>>;
  /** `cgroup.procs` of each cgroup that it runs in. */
  cgroupProcsFiles: readonly string[];
  /** Null leaves it. */
  niceness: number | null;
  /** No cgroup holds the number of its processes: a user of its own is to. */
  limitProcesses: boolean;
  oomScoreAdj: number | null;
  /** calls: the program keeps descriptor 3 for calls, and its stdin is empty. stdin: its stdin is that descriptor. */
  channel: "calls" | "stdin";
  /** What `program` (absolute) may do. */
  sandbox(program: string): PlannedSandbox;
  selfCommand: readonly string[];
  clock: Clock;
}

export interface PluginProcess {
  pid: number;
  startTicks: number;
  /** Settles when the process has ended, within milliseconds. Never rejects. */
  exited: Promise<ExitStatus>;
  /** The parent's ends of the sockets, each to be opened at once and exactly once. */
  fds: { channel: number; stdout: number; stderr: number };
  /** Settles when the program itself runs, or will not. Never rejects. */
  launched: Promise<Launched>;
}

export type Spawned = { ok: true; process: PluginProcess } | { ok: false; message: string };

/** Where there is no launcher: put the sockets in place and become the program. */
const prelude = (stdin: string): string => `exec "$@" ${stdin} 1>&4 2>&5 4>&- 5>&-`;

const shell = "/bin/sh";

function whyNot(error: unknown, program: string): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return `cannot be started: ${program} does not exist any more`;
  if (code === "EAGAIN")
    return "cannot be started: too many processes; raise the limit (ulimit -u, TasksMax)";
  if (code === "EMFILE" || code === "ENFILE")
    return "cannot be started: too many open files; raise the limit (ulimit -n, LimitNOFILE)";
  return `cannot be started: ${error instanceof Error ? error.message : String(error)}`;
}

/**
 * Starts it. A program that does not exist or may not be executed is a failure with the reason; what only the launcher
 * finds out is in `launched`.
 */
export function spawnPlugin(options: SpawnOptions): Spawned {
  const [program = ""] = options.command;
  const path = Bun.which(program, { PATH: options.environment.PATH ?? "", cwd: options.folder });
  if (path === null)
    return {
      ok: false,
      message: `${JSON.stringify(program)}: no such program ${program.includes("/") ? "" : "on PATH "}or not executable; install it or correct the command`,
    };
  return process.platform === "linux" ? spawnLauncher(options, path) : spawnBare(options, path);
}

function specOf(options: SpawnOptions, path: string, sandbox: SandboxPlan): LaunchSpec {
  const { plugin, environment, folder, channel, cgroupProcsFiles, niceness, oomScoreAdj, command } = options;
  return {
    ...sandbox,
    plugin,
    path,
    argv: [path, ...command.slice(1)],
    environment,
    folder,
    channel,
    parentPid: process.pid,
    cgroupProcsFiles,
    oomScoreAdj,
    nice: niceness,
    // The kernel counts them by user: while a new version takes over, there are twice as many.
    processes: options.limitProcesses && sandbox.processes !== null ? 2 * sandbox.processes : null,
  };
}

/** A launcher ends before compiled code would pay: without that it starts in three quarters of the time. */
const launcherEnvironment = { BUN_JSC_useBaselineJIT: "0" };

/** In a folder that is not the plugin's, with nothing of the plugin's environment: it still has every privilege. */
function spawnLauncher(options: SpawnOptions, path: string): Spawned {
  const sandbox = options.sandbox(path);
  if (!sandbox.ok) return sandbox;
  const marks = environmentMark(options.runId, options.instance).map((mark) => mark.split("=", 2));
  const self = options.selfCommand;
  try {
    const child = Bun.spawn([...self, "__launch"], {
      cwd: "/",
      env: { ...launcherEnvironment, ...(Object.fromEntries(marks) as Record<string, string>) },
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe", "pipe", "pipe"],
    });
    const [, , , , , , status] = child.stdio as readonly unknown[];
    if (typeof status !== "number") throw new Error("the runtime gave no socket for descriptor 6");
    const launched = launchOver(status, specOf(options, path, sandbox.plan), options.clock);
    return { ok: true, process: adopt(child, options, launched) };
  } catch (error) {
    return { ok: false, message: whyNot(error, self[0] ?? "") };
  }
}

const onlyLinux: Enforced = { mechanism: null, reason: "permissions and limits are enforced on Linux only" };

function spawnBare(options: SpawnOptions, path: string): Spawned {
  const stdin = options.channel === "stdin" ? "0<&3 3<&-" : "";
  try {
    const child = Bun.spawn([shell, "-c", prelude(stdin), "sh", path, ...options.command.slice(1)], {
      cwd: options.folder,
      env: options.environment,
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe", "pipe"],
    });
    const env = { mechanism: "clean environment", reason: null };
    const permissions = { env, net: onlyLinux, files: onlyLinux, user: onlyLinux, privileges: onlyLinux };
    const report = { permissions, openFiles: onlyLinux, processes: null, cgroupProblems: [] };
    return { ok: true, process: adopt(child, options, Promise.resolve({ ok: true, report })) };
  } catch (error) {
    return { ok: false, message: whyNot(error, `${shell} or the folder ${options.folder}`) };
  }
}

function adopt(child: Bun.Subprocess, options: SpawnOptions, launched: Promise<Launched>): PluginProcess {
  const [, , , channel, stdout, stderr] = child.stdio as readonly unknown[];
  if (typeof channel !== "number" || typeof stdout !== "number" || typeof stderr !== "number")
    throw new Error("the runtime gave no socket for a descriptor above 2");
  if (options.oomScoreAdj !== null) setOomScoreAdj(child.pid, options.oomScoreAdj);
  return {
    pid: child.pid,
    startTicks: readProcess(child.pid)?.startTicks ?? 0,
    exited: child.exited.then(() => ({
      exitCode: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
    })),
    fds: { channel, stdout, stderr },
    launched,
  };
}
