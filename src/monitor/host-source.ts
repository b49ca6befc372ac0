/** Reads the host: directly from /proc where there is one, else through systeminformation. */

import { existsSync, readFileSync, statfsSync } from "node:fs";
import { MemoryMeter, type MemoryReading } from "./budget.ts";
import type { Root } from "./cgroups.ts";
import {
  type CpuTimes,
  cpuPercent,
  type Load,
  type Pressure,
  parseCpuTimes,
  parseLoad,
  parsePressure,
} from "./proc-text.ts";
import type { DiskReading } from "./sample.ts";

export type PressureKind = "memory" | "cpu" | "io";

/** What the sampler asks. Each throws, or yields null, when it cannot be read. */
export interface HostSource {
  memory(): MemoryReading | null;
  /** Since the call before; "first" when there was none. */
  cpu(): number | "first" | null;
  disk(path: string): DiskReading | null;
  load(): Load | null;
  pressure(kind: PressureKind): Pressure | null;
  /** Whether the kernel tells pressure at all. */
  readonly hasPressure: boolean;
}

/** Linux. */
export class ProcSource implements HostSource {
  readonly hasPressure: boolean;
  readonly meter: MemoryMeter;
  readonly #root: Root;
  #cpuBefore: CpuTimes | null = null;

  constructor(configuredBytes: number | null, root: Root = "") {
    this.#root = root;
    this.meter = new MemoryMeter(configuredBytes, root);
    this.hasPressure = existsSync(`${root}/proc/pressure/memory`);
  }

  memory(): MemoryReading {
    return this.meter.read();
  }

  cpu(): number | "first" | null {
    const before = this.#cpuBefore;
    const now = parseCpuTimes(this.#read("/proc/stat"));
    this.#cpuBefore = now;
    if (now === null) return null;
    return before === null ? "first" : cpuPercent(before, now);
  }

  disk(path: string): DiskReading | null {
    const { bsize, blocks, bfree, bavail } = statfsSync(path);
    if (blocks === 0) return null;
    // As df: what is used, of what a user could use.
    const used = blocks - bfree;
    return {
      usedPercent: (100 * used) / (used + bavail),
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
    };
  }

  load(): Load | null {
    return parseLoad(this.#read("/proc/loadavg"));
  }

  pressure(kind: PressureKind): Pressure | null {
    return parsePressure(this.#read(`/proc/pressure/${kind}`));
  }

  #read(path: string): string {
    return readFileSync(this.#root + path, "utf8");
  }
}

/** Whether this machine has what `ProcSource` reads. */
export const hasProc = (): boolean => existsSync("/proc/meminfo");
