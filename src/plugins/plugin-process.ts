/** Starts one program as a plugin's process: own session, own cgroup and score before it runs, its end seen at once. */

import { setOomScoreAdj } from "./oom-score.ts";
import type { PluginCgroup } from "./plugin-cgroup.ts";
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
  cgroup: PluginCgroup | null;
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
  /** Why it runs outside its cgroup; null when it is inside or has none. */
  cgroupProblem: string | null;
}

export type Spawned = { ok: true; process: PluginProcess } | { ok: false; message: string };

/**
 * Run by the new process itself, so that nothing it starts can come before: enter the cgroup, take the score, put the
 * sockets in place, and become the program. Its errors are silent: the parent does the first two again and sees them.
 */
const prelude = (stdin: string): string =>
  `{ [ -z "$1" ] || echo $$ > "$1"; [ -z "$2" ] || echo "$2" > /proc/self/oom_score_adj; } 2>/dev/null; shift 2; exec "$@" ${stdin} 1>&4 2>&5 4>&- 5>&-`;

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
    const child = Bun.spawn(
      [shell, "-c", prelude(stdin), "sh", options.cgroup?.procsFile ?? "", score, path, ...rest],
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
  return {
    pid: child.pid,
    startTicks: readProcess(child.pid)?.startTicks ?? 0,
    exited: child.exited.then(() => ({
      exitCode: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
    })),
    fds: { channel, stdout, stderr },
    cgroupProblem: enter(options.cgroup, child.pid),
  };
}

function enter(cgroup: PluginCgroup | null, pid: number): string | null {
  try {
    cgroup?.add(pid);
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // ESRCH: it ended already, having been inside.
    return code === "ESRCH" ? null : `${cgroup?.folder}: ${code}`;
  }
}
