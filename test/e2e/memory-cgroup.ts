/** A memory cgroup of the test's own, version 1 or 2, in which pressure can not reach the machine. */

import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { until } from "./running-conductor.ts";

const v1Root = "/sys/fs/cgroup/memory";
const v2Root = "/sys/fs/cgroup";

/** The folder of this process's own memory cgroup, if one can be made below it. */
function parentFolder(): { folder: string; version: 1 | 2 } {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const v1 = lines.find((line) => /:(.*,)?memory(,.*)?:/.test(line));
  if (v1 && existsSync(v1Root)) return { folder: join(v1Root, v1.split(":")[2] ?? "/"), version: 1 };
  const v2 = lines.find((line) => line.startsWith("0::"));
  return { folder: join(v2Root, v2?.slice(3) ?? "/"), version: 2 };
}

/** Whether this user may make one here; tests that need one are left out where not. */
export function canMakeCgroups(): boolean {
  try {
    const { folder, version } = parentFolder();
    accessSync(folder, constants.W_OK);
    // Version 2 gives no memory controller to the children of a cgroup that holds processes itself.
    return version === 1 || /\bmemory\b/.test(readFileSync(join(folder, "cgroup.subtree_control"), "utf8"));
  } catch {
    return false;
  }
}

const hostOomKills = (): number =>
  Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? Number.NaN);

export class MemoryCgroup {
  readonly version: 1 | 2;
  readonly folder: string;
  readonly #oomKillsBefore = hostOomKills();
  readonly #limitBytes: number;

  constructor(name: string, limitBytes: number) {
    this.#limitBytes = limitBytes;
    const parent = parentFolder();
    this.version = parent.version;
    this.folder = join(parent.folder, `${name}-${process.pid}`);
    mkdirSync(this.folder);
    const file = this.version === 1 ? "memory.limit_in_bytes" : "memory.max";
    writeFileSync(join(this.folder, file), String(limitBytes));
  }

  get procsFile(): string {
    return join(this.folder, "cgroup.procs");
  }

  /** A command line that runs `command` inside, from its first instruction. */
  wrap(command: readonly string[]): string[] {
    return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', this.procsFile, ...command];
  }

  /**
   * Processes that the kernel killed for memory since this was made, anywhere on the machine: version 1 counts in each
   * cgroup on its own, and a plugin's is gone after the plugin.
   */
  oomKills(): number {
    return hostOomKills() - this.#oomKillsBefore;
  }

  /**
   * Processes that the kernel can have killed for want of memory in here: none while the limit was never reached, which is
   * certain whatever else runs on the machine; else as `oomKills`.
   */
  ownKills(): number {
    const file = this.version === 1 ? "memory.max_usage_in_bytes" : "memory.peak";
    const path = join(this.folder, file);
    if (existsSync(path) && Number(readFileSync(path, "utf8")) < this.#limitBytes) return 0;
    return this.oomKills();
  }

  usedBytes(): number {
    const file = this.version === 1 ? "memory.usage_in_bytes" : "memory.current";
    return Number(readFileSync(join(this.folder, file), "utf8"));
  }

  pids(): number[] {
    return readFileSync(this.procsFile, "utf8").split("\n").filter(Boolean).map(Number);
  }

  add(pid: number): void {
    appendFileSync(this.procsFile, String(pid));
  }

  /** Removes it; fails when a process or a cgroup is left inside for 5 s. */
  async remove(): Promise<void> {
    await until("the cgroup is empty", 5_000, () => this.pids().length === 0 && this.inside().length === 0);
    rmdirSync(this.folder);
  }

  /** Names of the cgroups below. */
  inside(): string[] {
    return readdirSync(this.folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  }
}
