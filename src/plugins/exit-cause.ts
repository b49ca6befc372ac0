/** Why a process ended, in words: its exit code, a signal, the kernel for want of memory, or us. */

import { formatBytes } from "../config/units.ts";
import type { ExitStatus } from "./plugin-process.ts";

/** What is known about an exit. */
export interface ExitFacts extends ExitStatus {
  /** Kills for memory in its cgroup while it ran; null where there is no counter. */
  oomKillsInCgroup: number | null;
  /** The same on the whole machine; null where there is no counter. */
  oomKillsOnHost: number | null;
  /** Its memory limit in force; null when it has none. */
  limitBytes: number | null;
  /** What it held when conductor itself killed it for holding more than `limitBytes`; null: it did not. */
  overLimitBytes: number | null;
  /** Why conductor gave it up and killed it, such as "it answered no health check for 30 s"; null: it did not. */
  killedBecause: string | null;
  /** We ended it: gently, with a SIGKILL after the grace, or with one at once. */
  stoppedByUs: "no" | "term" | "kill" | "urgent";
}

export type ExitKind = "exit" | "signal" | "oom" | "stopped";

export interface ExitCause {
  kind: ExitKind;
  /** One line for a person. */
  text: string;
}

const crashSignals: Record<string, string> = {
  SIGSEGV: "invalid memory access",
  SIGABRT: "abort",
  SIGBUS: "bus error",
  SIGILL: "illegal instruction",
  SIGFPE: "arithmetic error",
  SIGTRAP: "trap",
};

const codeMeanings: Record<number, string> = {
  126: "the command could not be executed",
  127: "the command was not found",
};

/** Names the cause; a guess is called one. */
export function exitCause(facts: ExitFacts): ExitCause {
  const { exitCode, signal } = facts;
  if (facts.stoppedByUs === "kill")
    return { kind: "stopped", text: "did not end when asked, and was killed after the grace period" };
  if (facts.stoppedByUs === "urgent") return { kind: "stopped", text: "killed at once" };
  if (facts.stoppedByUs === "term" && signal !== "SIGKILL") return { kind: "stopped", text: "stopped" };
  if (facts.overLimitBytes !== null && facts.limitBytes !== null)
    return {
      kind: "oom",
      text: `killed by conductor: over its memory limit of ${formatBytes(facts.limitBytes)} (held ${formatBytes(facts.overLimitBytes)})`,
    };
  const limit = facts.limitBytes === null ? "" : `, its limit is ${formatBytes(facts.limitBytes)}`;
  if ((facts.oomKillsInCgroup ?? 0) > 0)
    return { kind: "oom", text: `killed by the kernel (out of memory${limit})` };
  if (signal === "SIGKILL") {
    if (facts.killedBecause !== null)
      return { kind: "signal", text: `killed by conductor: ${facts.killedBecause}` };
    if (facts.oomKillsInCgroup === null && (facts.oomKillsOnHost ?? 0) > 0)
      return {
        kind: "oom",
        text: "killed, most likely by the kernel (out of memory): it killed for memory just then",
      };
    return { kind: "signal", text: "killed by someone else (SIGKILL that conductor did not send)" };
  }
  if (signal !== null) {
    const meaning = crashSignals[signal];
    return { kind: "signal", text: meaning ? `crashed with ${signal} (${meaning})` : `ended by ${signal}` };
  }
  const meaning = codeMeanings[exitCode ?? 0];
  return { kind: "exit", text: `exited with code ${exitCode}${meaning ? ` (${meaning})` : ""}` };
}
