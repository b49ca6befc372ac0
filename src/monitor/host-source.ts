/** Reads the host: directly from /proc where there is one, else through systeminformation (`PortableSource`). */

import { existsSync, readFileSync } from "node:fs";
import { MemoryMeter, type MemoryReading } from "./budget.ts";
import type { Root } from "./cgroups.ts";
import { type CpuTimes, cpuPercent, parseCpuTimes } from "./cpu-times.ts";
import { type DiskReading, readDisk } from "./disk.ts";
import { type Load, parseLoad } from "./load-average.ts";
import { type Pressure, parsePressure } from "./pressure.ts";

export type PressureKind = "memory" | "cpu" | "io";

/** What the sampler asks. Each throws, or yields null, when it cannot be read. */
export interface HostSource {
  memory(): MemoryReading | null;
  /** Since the call before; "first" when there was none, or not long enough ago to tell. */
  cpu(): number | "first" | null;
  disk(path: string): DiskReading | null;
  load(): Load | null;
  pressure(kind: PressureKind): Pressure | null;
  /** Why this kernel tells no pressure at all; null when it does. */
  readonly pressureMissingBecause: string | null;
}

/** Linux. */
export class ProcSource implements HostSource {
  readonly pressureMissingBecause: string | null;
  readonly meter: MemoryMeter;
  readonly #root: Root;
  #cpuBefore: CpuTimes | null = null;

  /** `configuredBytes` and `monotonicMs` as for `MemoryMeter`; `root` lies in front of /proc and of the cgroups' mount. */
  constructor(configuredBytes: number | null, root: Root = "", monotonicMs?: () => number) {
    this.#root = root;
    this.meter = new MemoryMeter(configuredBytes, root, monotonicMs);
    this.pressureMissingBecause = pressureMissingBecause(root);
  }

  memory(): MemoryReading {
    return this.meter.read();
  }

  cpu(): number | "first" | null {
    const before = this.#cpuBefore;
    const now = parseCpuTimes(this.#read("/proc/stat"));
    if (now === null || before === null) {
      this.#cpuBefore = now;
      return now && "first";
    }
    // Two calls within one tick of the kernel: the next one tells, over the longer time.
    if (now.total === before.total) return "first";
    this.#cpuBefore = now;
    return cpuPercent(before, now);
  }

  /** A path on a network file system whose server is away makes this wait: better name a local one. */
  disk(path: string): DiskReading | null {
    return readDisk(path);
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

/** Kernels without it have no such file, or one that refuses to be read. Any other failure may pass: it is a gap. */
function pressureMissingBecause(root: Root): string | null {
  try {
    readFileSync(`${root}/proc/pressure/memory`);
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR")
      return "the kernel has no /proc/pressure (Linux 4.20 or later, with CONFIG_PSI)";
    if (code === "EOPNOTSUPP" || code === "ENOTSUP")
      return "the kernel was started without it: psi=1 on its command line turns it on";
    return null;
  }
}

/** Whether this machine has what `ProcSource` reads. */
export const hasProc = (root: Root = ""): boolean => existsSync(`${root}/proc/meminfo`);
