/** The host where there is no /proc, through systeminformation: values of the last refresh, a second old at most. */

import { statfsSync } from "node:fs";
import { freemem, loadavg, totalmem } from "node:os";
import type { MemoryReading } from "./budget.ts";
import type { HostSource } from "./host-source.ts";
import type { DiskReading } from "./sample.ts";

export class PortableSource implements HostSource {
  readonly hasPressure = false;
  readonly #configuredBytes: number | null;
  #available = 0;
  #swapUsed = 0;
  #swapTotal = 0;
  #cpu: number | null = null;

  constructor(configuredBytes: number | null) {
    this.#configuredBytes = configuredBytes;
    this.#available = freemem();
  }

  /** Asks the system; call before each sample. Costs milliseconds, and loads the library at the first call. */
  async refresh(): Promise<void> {
    const { mem, currentLoad } = await import("systeminformation");
    const [memory, load] = await Promise.all([mem(), currentLoad()]);
    this.#available = memory.available;
    this.#swapUsed = memory.swapused;
    this.#swapTotal = memory.swaptotal;
    this.#cpu = load.currentLoad;
  }

  memory(): MemoryReading {
    const limit = totalmem();
    const configured = this.#configuredBytes;
    const budgetBytes = configured !== null && configured < limit ? configured : limit;
    const usedBytes = Math.max(0, limit - this.#available);
    return {
      usedBytes,
      budgetBytes,
      usedRatio: usedBytes / budgetBytes,
      source: budgetBytes < limit ? "config" : "host",
      cgroup: null,
      swapUsedBytes: this.#swapUsed,
      swapTotalBytes: this.#swapTotal,
    };
  }

  cpu(): number | "first" {
    return this.#cpu ?? "first";
  }

  disk(path: string): DiskReading {
    const { bsize, blocks, bfree, bavail } = statfsSync(path);
    const used = blocks - bfree;
    return {
      usedPercent: (100 * used) / (used + bavail),
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
    };
  }

  load() {
    const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
    return { load1, load5, load15 };
  }

  pressure(): null {
    return null;
  }
}
