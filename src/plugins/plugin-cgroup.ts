/** One cgroup of one instance of a plugin: its limits, its processes, how often the kernel killed in it. */

import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupSetting, writeSettings } from "./cgroup-settings.ts";

const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Removed meanwhile, or a kernel without this file.
  }
};

/** Removes an empty cgroup; true when it is gone. */
export function removeCgroup(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** Pids in a cgroup; empty when it does not exist. */
export function cgroupPids(folder: string): number[] {
  return readOrEmpty(join(folder, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
}

/** The cgroups right below `folder`, with their pids. */
export function childCgroupPids(folder: string): { name: string; folder: string; pids: number[] }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ({ name, folder: join(folder, name), pids: cgroupPids(join(folder, name)) }));
  } catch {
    return []; // Removed meanwhile.
  }
}

/** Kills everything in a cgroup and below, version 2 only and at once; false where the kernel cannot. */
export function killCgroup(folder: string): boolean {
  try {
    writeFileSync(join(folder, "cgroup.kill"), "1");
    return true;
  } catch {
    return false; // Version 1, or a kernel before 5.14: the caller signals pid by pid.
  }
}

export class PluginCgroup {
  constructor(
    readonly version: 1 | 2,
    readonly folder: string,
  ) {}

  /** Makes the folder if need be; throws what the system says. */
  make(): void {
    mkdirSync(this.folder, { recursive: true });
  }

  /** Sets limits; throws what the system says. */
  set(settings: readonly CgroupSetting[]): void {
    writeSettings(this.folder, settings);
  }

  get procsFile(): string {
    return join(this.folder, "cgroup.procs");
  }

  /** Moves a process in; throws what the system says. */
  add(pid: number): void {
    writeFileSync(this.procsFile, String(pid));
  }

  pids(): number[] {
    return cgroupPids(this.folder);
  }

  /** How often the kernel killed a process here for memory; null when it does not tell. */
  oomKills(): number | null {
    const file = this.version === 1 ? "memory.oom_control" : "memory.events";
    const count = /^oom_kill (\d+)$/m.exec(readOrEmpty(join(this.folder, file)))?.[1];
    return count === undefined ? null : Number(count);
  }

  /** True when it is gone. */
  remove(): boolean {
    return removeCgroup(this.folder);
  }
}
