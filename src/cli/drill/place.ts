/** Where a drill runs: a memory cgroup of its own with a hard limit, below the one that this process is in. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../../config/units.ts";
import { CgroupMeter } from "../../monitor/cgroup-memory.ts";
import { enclosingCgroups, usageFile } from "../../monitor/cgroups.ts";
import { parseMeminfo } from "../../monitor/meminfo.ts";
import { cgroupOomKills, hostOomKills } from "../../monitor/oom-kills.ts";
import { ownCgroupPlaces } from "../../plugins/limits.ts";
import { cgroupPids, childCgroupPids } from "../../plugins/plugin-cgroup.ts";
import { type RunFolder, releaseRunCgroups, takeRunCgroups } from "../../plugins/run-cgroups.ts";
import { CliError } from "../command.ts";

/** Free memory must be so many times the size of the hog. */
const headroomFactor = 4;

/** Bytes that may still be taken: on the host, and in each cgroup around this process, whichever is less. */
export function freeBytes(): number {
  const text = readFileSync("/proc/meminfo");
  const host = parseMeminfo(text, text.length);
  let least = host?.availableBytes ?? 0;
  for (const cgroup of enclosingCgroups()) {
    const meter = new CgroupMeter(cgroup);
    const [limit, used] = [meter.limitBytes(), meter.usedBytes()];
    meter.close();
    if (limit !== null && used !== null && limit < Number.MAX_SAFE_INTEGER)
      least = Math.min(least, limit - used);
  }
  return least;
}

/** Throws where the host has too little room for a hog of this size. */
export function checkHeadroom(hogBytes: number, free = freeBytes()): void {
  const needed = headroomFactor * hogBytes;
  if (free >= needed) return;
  throw new CliError(
    `not enough free memory for a drill of ${formatBytes(hogBytes)}: ${formatBytes(free)} are free, ${formatBytes(needed)} (${headroomFactor} times the size) are needed; take a smaller --size, or stop something first`,
  );
}

/** The drill's cgroup and the run folder that it lies in. */
export class DrillPlace {
  readonly #hostKillsBefore = hostOomKills();
  readonly folder: string;
  #limitBytes = Number.POSITIVE_INFINITY;

  private constructor(readonly run: RunFolder) {
    this.folder = join(run.folder, "drill");
  }

  /** Throws with the reason and the remedy where none can be made; nothing is left of it then. */
  static take(runId: string): DrillPlace {
    const places = { ...ownCgroupPlaces(), cpu: null, pids: null };
    const { memory } = takeRunCgroups(places, runId, [process.pid]);
    if (!memory.run)
      throw new CliError(
        `a drill needs a memory cgroup of its own, and none can be made here: ${memory.why}; or: systemd-run --pipe --wait -p Delegate=yes conductor drill`,
      );
    const place = new DrillPlace(memory.run);
    try {
      mkdirSync(place.folder);
    } catch (error) {
      releaseRunCgroups(memory.run.version, memory.run.folder, [process.pid]);
      throw new CliError(`${place.folder} cannot be made: ${(error as Error).message}`);
    }
    return place;
  }

  get procsFile(): string {
    return join(this.folder, "cgroup.procs");
  }

  /** Sets the hard limit. Throws what the system says. */
  limit(bytes: number): void {
    this.#limitBytes = bytes;
    writeFileSync(join(this.folder, this.#file("memory.limit_in_bytes", "memory.max")), String(bytes));
    // Swap would only put off what the limit is for.
    const swap = join(this.folder, this.#file("memory.memsw.limit_in_bytes", "memory.swap.max"));
    if (existsSync(swap)) writeFileSync(swap, this.run.version === 1 ? String(bytes) : "0");
  }

  /**
   * Bytes in use that are no file cache: what of the cache is counted changes with what the kernel takes for unused. Throws
   * what the system says.
   */
  heldBytes(): number {
    const read = (file: string) => readFileSync(join(this.folder, file), "utf8");
    const usage = Number(read(usageFile(this.run.version)));
    const cache = (this.run.version === 1 ? /^total_cache (\d+)$/m : /^file (\d+)$/m).exec(
      read("memory.stat"),
    )?.[1];
    return usage - Number(cache ?? 0);
  }

  meter(): CgroupMeter {
    return new CgroupMeter({ version: this.run.version, folder: this.folder });
  }

  /**
   * Processes that the kernel killed in it for want of memory. Version 2 counts those of every cgroup below. Version 1 counts
   * in each alone, and a plugin's is gone after the plugin: none were killed while the limit was never reached; else the
   * machine's count tells, in which others may be.
   */
  kernelKills(): number {
    const { version } = this.run;
    if (version === 2) return cgroupOomKills({ version, folder: this.folder }) ?? 0;
    const peak = Number(readFileSync(join(this.folder, "memory.max_usage_in_bytes"), "utf8"));
    if (peak < this.#limitBytes) return 0;
    return (hostOomKills() ?? 0) - (this.#hostKillsBefore ?? 0);
  }

  #file(v1: string, v2: string): string {
    return this.run.version === 1 ? v1 : v2;
  }
}

/** Every pid in `folder` and the cgroups below it. One that is removed meanwhile holds none. */
export const pidsBelow = (folder: string): number[] => [
  ...cgroupPids(folder),
  ...childCgroupPids(folder).flatMap((below) => pidsBelow(below.folder)),
];
