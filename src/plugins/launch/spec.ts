/** What the conductor tells a launcher, and what the launcher answers: one JSON line each way on one socket. */

import type { LimitsEnforced, PermissionsEnforced } from "../enforcement.ts";

/** The descriptors of a launcher; the plugin keeps 0 to 2, and `calls` where its channel is "calls". */
export const launchFds = { channel: 3, stdout: 4, stderr: 5, status: 6 } as const;

/** Longest spec: an environment that the kernel would refuse at 2 MiB is refused here. */
export const longestSpecBytes = 2 * 2 ** 20;

/** Parts of the kernel that a launch can be told to do without, as on a host that lacks them. */
export type Withheld = "landlock" | "network namespace";

/** As whom a plugin runs. */
export type LaunchUser =
  /** `groups`: to which the devices that it uses belong. */
  | { kind: "own"; uid: number; gid: number; groups: readonly number[] }
  /** Stays root and loses every capability; `reason` names what a user of its own could not reach. */
  | { kind: "root"; reason: string }
  /** The conductor is no root. */
  | { kind: "conductor"; reason: string };

/** What a plugin may reach of the network. */
export type NetRule = { kind: "all" } | { kind: "none" } | { kind: "listen"; port: number };

/** Absolute paths, links resolved. Everything is readable but `hidden`; nothing is writable but `writable` and `devices`. */
export interface FileRules {
  hidden: readonly string[];
  /** Readable although it may lie below a hidden path. */
  readable: readonly string[];
  writable: readonly string[];
  /** Used as they are, and nothing is made among them. */
  devices: readonly string[];
}

export interface LaunchSpec {
  plugin: string;
  /** The program, absolute. */
  path: string;
  /** With the program's name first. */
  argv: readonly string[];
  environment: Readonly<Record<string, string>>;
  folder: string;
  channel: "calls" | "stdin";
  /** The conductor: when it is gone, so is the plugin. */
  parentPid: number;
  /** One for each hierarchy. */
  cgroupProcsFiles: readonly string[];
  oomScoreAdj: number | null;
  /** 0 to 19; null leaves that of whoever started it, but never before others. */
  nice: number | null;
  openFiles: number;
  /** Processes and threads of the user; only where the plugin has one of its own. */
  processes: number | null;
  /** It starts although a permission cannot be enforced. */
  trusted: boolean;
  net: NetRule;
  user: LaunchUser;
  files: FileRules;
  /** What is put around it; null where it is not asked for or, with `bubblewrapMissing`, not installed. */
  bubblewrap: { path: string; version: string } | null;
  bubblewrapMissing: boolean;
  withhold: readonly Withheld[];
}

/** What took effect before the program was started. */
export interface LaunchReport {
  permissions: PermissionsEnforced;
  openFiles: LimitsEnforced["openFiles"];
  /** Null where no limit was to be set. */
  processes: LimitsEnforced["processes"] | null;
  /** The cgroups that it could not enter, and the error's code; empty when it is in all. */
  cgroupProblems: readonly { procsFile: string; code: string }[];
}

/** One line of a launcher; a failure may follow a report, when the program itself cannot be executed. */
export type LaunchMessage = { report: LaunchReport } | { failure: string };
