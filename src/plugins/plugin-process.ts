/** Starts one program as a plugin's process: own session, own cgroups and score before it runs, its end seen at once. */

import { readdirSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { setOomScoreAdj } from "./oom-score.ts";
import { readProcess } from "./proc-table.ts";

/** How a process ended: an exit code, or the signal that ended it. */
export interface ExitStatus {
  exitCode: number | null;
  signal: string | null;
}

export interface SpawnOptions {
  command: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string>>;
  /** `cgroup.procs` of every cgroup that it is to be in. */
  cgroupProcsFiles: readonly string[];
  /** For it and all that it starts; null: as the conductor's own. */
  niceness: number | null;
  oomScoreAdj: number | null;
  /** calls: the program keeps descriptor 3 for calls, and its stdin is empty. stdin: its stdin is that descriptor. */
  channel: "calls" | "stdin";
}

export interface PluginProcess {
  pid: number;
  startTicks: number;
  /** Settles when the process has ended, within milliseconds. Never rejects. */
  exited: Promise<ExitStatus>;
  /** The parent's ends of the sockets, each to be opened at once and exactly once. */
  fds: { channel: number; stdout: number; stderr: number };
  /** The cgroups that it could not enter; empty when it is in all. */
  cgroupProblems: readonly { procsFile: string; code: string }[];
}

export type Spawned = { ok: true; process: PluginProcess } | { ok: false; message: string };

/**
 * Run by the new process itself, so that nothing it starts can come before: enter the cgroups, take the score, put the
 * sockets in place, and become the program. Arguments: the score or nothing, how many files, the files, the program.
 * Its errors are silent: the parent does the first two again and sees them.
 */
const prelude = (stdin: string): string =>
  `{ [ -z "$1" ] || echo "$1" > /proc/self/oom_score_adj; conductor_files=$2; shift 2; while [ "$conductor_files" -gt 0 ]; do echo $$ > "$1"; shift; conductor_files=$((conductor_files - 1)); done; } 2>/dev/null; exec "$@" ${stdin} 1>&4 2>&5 4>&- 5>&-`;

const shell = "/bin/sh";

function whyNot(error: unknown, options: SpawnOptions): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return `cannot be started: ${shell} or the folder ${options.folder} does not exist`;
  if (code === "EAGAIN")
    return "cannot be started: too many processes; raise the limit (ulimit -u, TasksMax)";
  if (code === "EMFILE" || code === "ENFILE")
    return "cannot be started: too many open files; raise the limit (ulimit -n, LimitNOFILE)";
  return `cannot be started: ${error instanceof Error ? error.message : String(error)}`;
}

/** Starts it. A program that does not exist or may not be executed is a failure with the reason. */
export function spawnPlugin(options: SpawnOptions): Spawned {
  const [program = "", ...rest] = options.command;
  const path = Bun.which(program, { PATH: options.environment.PATH ?? "", cwd: options.folder });
  if (path === null)
    return {
      ok: false,
      message: `${JSON.stringify(program)}: no such program ${program.includes("/") ? "" : "on PATH "}or not executable; install it or correct the command`,
    };
  const score = options.oomScoreAdj === null ? "" : String(options.oomScoreAdj);
  const stdin = options.channel === "stdin" ? "0<&3 3<&-" : "";
  try {
    const files = options.cgroupProcsFiles;
    const child = Bun.spawn(
      [shell, "-c", prelude(stdin), "sh", score, String(files.length), ...files, path, ...rest],
      {
        cwd: options.folder,
        env: options.environment,
        detached: true,
        stdio: ["ignore", "ignore", "ignore", "pipe", "pipe", "pipe"],
      },
    );
    return { ok: true, process: adopt(child, options) };
  } catch (error) {
    return { ok: false, message: whyNot(error, options) };
  }
}

function adopt(child: Bun.Subprocess, options: SpawnOptions): PluginProcess {
  const [, , , channel, stdout, stderr] = child.stdio as readonly unknown[];
  if (typeof channel !== "number" || typeof stdout !== "number" || typeof stderr !== "number")
    throw new Error("the runtime gave no socket for a descriptor above 2");
  if (options.oomScoreAdj !== null) setOomScoreAdj(child.pid, options.oomScoreAdj);
  if (options.niceness !== null) beNice(child.pid, options.niceness);
  return {
    pid: child.pid,
    startTicks: readProcess(child.pid)?.startTicks ?? 0,
    exited: child.exited.then(() => ({
      exitCode: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
    })),
    fds: { channel, stdout, stderr },
    cgroupProblems: options.cgroupProcsFiles.flatMap((file) => enter(file, child.pid)),
  };
}

function enter(procsFile: string, pid: number): { procsFile: string; code: string }[] {
  try {
    writeFileSync(procsFile, String(pid));
    return [];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    // ESRCH: it ended already, having been inside.
    return code === "ESRCH" ? [] : [{ procsFile, code }];
  }
}

/** A niceness is a thread's own and goes to what that starts: all threads that there are already take it. */
function beNice(pid: number, niceness: number): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), niceness);
  } catch {
    return; // It ended already; where there is no /proc, nothing is promised.
  }
}
