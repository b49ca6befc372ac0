/** What a memory cgroup may use and does use. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type MemoryCgroup, usageFile } from "./cgroups.ts";
import { lineKey, lineNumber, soleNumber } from "./counters.ts";
import { HeldFile } from "./held-file.ts";

const limitFile = (version: 1 | 2): string => (version === 1 ? "memory.limit_in_bytes" : "memory.max");

/** Version 1 counts a cgroup alone under the plain name, and with those below it under this one. */
const inactiveKeys = { 1: lineKey("total_inactive_file "), 2: lineKey("inactive_file ") } as const;

const parseInactiveV1 = (bytes: Buffer, length: number) => lineNumber(bytes, length, inactiveKeys[1]);
const parseInactiveV2 = (bytes: Buffer, length: number) => lineNumber(bytes, length, inactiveKeys[2]);

/** Usage less the file cache that nobody used lately, which the kernel gives back at once; null when either is unknown. */
const withoutCache = (usage: number | null, cache: number | null): number | null =>
  usage === null || cache === null ? null : Math.max(0, usage - cache);

/** Bytes in use now, with the cgroups below; null when the files cannot be understood. Throws when they cannot be read. */
export function usedBytes({ version, folder }: MemoryCgroup): number | null {
  const usage = readFileSync(join(folder, usageFile(version)));
  const stat = readFileSync(join(folder, "memory.stat"));
  const cache = lineNumber(stat, stat.length, inactiveKeys[version]);
  return withoutCache(soleNumber(usage, usage.length), cache);
}

/** A cgroup that is read many times a second: its files stay open. */
export class CgroupMeter {
  readonly #limit: HeldFile;
  readonly #usage: HeldFile;
  readonly #stat: HeldFile;
  readonly #parseInactive: typeof parseInactiveV1;

  constructor(readonly cgroup: MemoryCgroup) {
    const { version, folder } = cgroup;
    this.#limit = new HeldFile(join(folder, limitFile(version)));
    this.#usage = new HeldFile(join(folder, usageFile(version)));
    this.#stat = new HeldFile(join(folder, "memory.stat"));
    this.#parseInactive = version === 1 ? parseInactiveV1 : parseInactiveV2;
  }

  /**
   * Bytes above which the kernel kills: version 2's memory.max, not memory.high, which only slows down. Infinity without
   * a limit, null when the file cannot be understood. Throws when it cannot be read.
   */
  limitBytes(): number | null {
    return this.#limit.read(soleNumber);
  }

  /** As `usedBytes`. */
  usedBytes(): number | null {
    const usage = this.#usage.read(soleNumber);
    return withoutCache(usage, this.#stat.read(this.#parseInactive));
  }

  close(): void {
    this.#limit.close();
    this.#usage.close();
    this.#stat.close();
  }
}
