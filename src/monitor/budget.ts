/** How much memory is used of how much: the constraint that will be hit first. */

import { CgroupMeter } from "./cgroup-memory.ts";
import { enclosingCgroups, type MemoryCgroup, type Root } from "./cgroups.ts";
import { HeldFile } from "./held-file.ts";
import { type Meminfo, parseMeminfo } from "./meminfo.ts";

/** Memory against the budget, as measured at one moment. */
export interface MemoryReading {
  usedBytes: number;
  budgetBytes: number;
  /** usedBytes / budgetBytes; over 1 when a configured budget is exceeded. */
  usedRatio: number;
  /** What sets the budget: the host's memory, a cgroup's limit, or the configuration. */
  source: "host" | "cgroup" | "config";
  /** The cgroup whose use and limit these are; null for the host's. */
  cgroup: string | null;
  /** The host's; null where it does not tell. */
  swapUsedBytes: number | null;
  swapTotalBytes: number | null;
}

/** Something that memory can run out of. */
export interface Constraint {
  usedBytes: number;
  /** Above zero. */
  limitBytes: number;
  /** Its folder; null for the host. */
  cgroup: string | null;
}

/**
 * The constraint with the largest share in use. `configuredBytes` (null: none) caps the innermost scope: that of the
 * smallest limit. Used bytes of a scope are always compared with that scope's own limit.
 */
export function bindingConstraint(
  host: Constraint,
  cgroups: readonly Constraint[],
  configuredBytes: number | null,
): { constraint: Constraint; source: MemoryReading["source"] } {
  let innermost = host;
  for (const each of cgroups) if (each.limitBytes < innermost.limitBytes) innermost = each;
  const capped = configuredBytes !== null && configuredBytes < innermost.limitBytes;
  const limitOf = (scope: Constraint) => (capped && scope === innermost ? configuredBytes : scope.limitBytes);
  let [worst, worstShare] = [host, host.usedBytes / limitOf(host)];
  // From the outermost in: of two that are as full, the inner one counts.
  for (let index = cgroups.length - 1; index >= 0; index--) {
    const each = cgroups[index];
    if (!each || each.limitBytes >= host.limitBytes) continue;
    const share = each.usedBytes / limitOf(each);
    if (share >= worstShare) [worst, worstShare] = [each, share];
  }
  if (capped && worst === innermost)
    return { constraint: { ...worst, limitBytes: configuredBytes }, source: "config" };
  return { constraint: worst, source: worst.cgroup === null ? "host" : "cgroup" };
}

/** A process is hardly ever moved, and the question where it is takes a quarter of a reading. */
const lookAgainMs = 1_000;

/**
 * Reads memory. The cgroups around this process are looked up again when it was moved, which is seen within a second, their
 * limits at each reading.
 */
export class MemoryMeter {
  readonly #configuredBytes: number | null;
  readonly #root: Root;
  readonly #meminfo: HeldFile;
  readonly #selfCgroup: HeldFile;
  /** Where the cgroups were looked up from: the text of /proc/self/cgroup. */
  #place: Buffer | null = null;
  #meters: CgroupMeter[] = [];
  readonly #monotonicMs: () => number;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * `configuredBytes` caps the innermost scope; null: no cap. Nothing is read before the first reading. Without a clock each
   * reading looks whether this process was moved.
   */
  constructor(configuredBytes: number | null, root: Root = "", monotonicMs: () => number = () => Infinity) {
    this.#configuredBytes = configuredBytes;
    this.#root = root;
    this.#monotonicMs = monotonicMs;
    this.#meminfo = new HeldFile(`${root}/proc/meminfo`);
    this.#selfCgroup = new HeldFile(`${root}/proc/self/cgroup`);
  }

  /** The cgroups around this process, the innermost first. Throws when they cannot be looked up. */
  get cgroups(): readonly MemoryCgroup[] {
    this.#follow();
    return this.#meters.map(({ cgroup }) => cgroup);
  }

  /** Memory now. Throws when it, or any limit on it, cannot be read or understood: a limit unseen is no calm. */
  read(): MemoryReading {
    const meminfo = this.#meminfo.read(parseMeminfo);
    if (!meminfo) throw new Error("/proc/meminfo holds no MemTotal and MemAvailable");
    this.#follow();
    const around = this.#constraints(meminfo.totalBytes);
    const { constraint, source } = bindingConstraint(hostConstraint(meminfo), around, this.#configuredBytes);
    const { swapTotalBytes, swapFreeBytes } = meminfo;
    const swapKnown = swapTotalBytes !== null && swapFreeBytes !== null;
    return {
      usedBytes: constraint.usedBytes,
      budgetBytes: constraint.limitBytes,
      usedRatio: constraint.usedBytes / constraint.limitBytes,
      source,
      cgroup: constraint.cgroup,
      swapUsedBytes: swapKnown ? swapTotalBytes - swapFreeBytes : null,
      swapTotalBytes,
    };
  }

  /** Closes its files; a later reading opens them again. */
  close(): void {
    this.#meminfo.close();
    this.#selfCgroup.close();
    this.#forget();
  }

  /** The cgroups as constraints. When one cannot be read they are looked up once more: it may have been removed. */
  #constraints(hostBytes: number): Constraint[] {
    try {
      return constraintsOf(this.#meters, hostBytes);
    } catch {
      this.#forget();
      this.#follow();
      return constraintsOf(this.#meters, hostBytes);
    }
  }

  /** Looks the cgroups up when this process is in another one than it was. */
  #follow(): void {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#lookedAtMs < lookAgainMs) return;
    if (!this.#isInPlace()) {
      this.#forget();
      const place = this.#currentPlace();
      if (place.length > 0)
        this.#meters = enclosingCgroups(this.#root).map((cgroup) => new CgroupMeter(cgroup));
      this.#place = place;
    }
    // Last: after a failure the next reading looks again.
    this.#lookedAtMs = nowMs;
  }

  #isInPlace(): boolean {
    const place = this.#place;
    if (place === null || place.length === 0) return place !== null;
    return this.#selfCgroup.read((bytes, length) => isSame(place, bytes, length));
  }

  /** The text of /proc/self/cgroup; empty on a kernel without cgroups. */
  #currentPlace(): Buffer {
    try {
      return this.#selfCgroup.read((bytes, length) => Buffer.from(bytes.subarray(0, length)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
      throw error;
    }
  }

  #forget(): void {
    for (const meter of this.#meters) meter.close();
    this.#meters = [];
    this.#place = null;
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
  }
}

const isSame = (before: Buffer, bytes: Buffer, length: number): boolean =>
  length === before.length && before.compare(bytes, 0, length) === 0;

const hostConstraint = ({ totalBytes, availableBytes }: Meminfo): Constraint => ({
  usedBytes: totalBytes - availableBytes,
  limitBytes: totalBytes,
  cgroup: null,
});

/** The cgroups with a limit under the host's memory. Throws when one cannot be read or understood. */
function constraintsOf(meters: readonly CgroupMeter[], hostBytes: number): Constraint[] {
  const found: Constraint[] = [];
  for (const meter of meters) {
    const { folder } = meter.cgroup;
    const limitBytes = meter.limitBytes();
    if (limitBytes === null) throw new Error(`${folder}: its limit is no number`);
    // Its use can not matter: not reading it saves most of the time.
    if (limitBytes >= hostBytes) continue;
    const usedBytes = meter.usedBytes();
    if (usedBytes === null) throw new Error(`${folder}: its use is no number`);
    found.push({ usedBytes, limitBytes: Math.max(1, limitBytes), cgroup: folder });
  }
  return found;
}
