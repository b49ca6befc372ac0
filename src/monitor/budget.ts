/** How much memory is used of how much: the constraint that will be hit first. */

import { readFileSync } from "node:fs";
import { enclosingCgroups, limitBytes, type MemoryCgroup, type Root, usedBytes } from "./cgroups.ts";
import { parseMeminfo } from "./proc-text.ts";

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
  swapUsedBytes: number;
  swapTotalBytes: number;
}

interface Constraint {
  usedBytes: number;
  limitBytes: number;
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
  const limited = cgroups.filter((each) => each.limitBytes < host.limitBytes);
  const scopes = [...limited, host];
  const innermost = scopes.reduce((least, each) => (each.limitBytes < least.limitBytes ? each : least));
  const capped = scopes.map((scope) => {
    const source: MemoryReading["source"] = scope.cgroup === null ? "host" : "cgroup";
    if (scope !== innermost || configuredBytes === null || configuredBytes >= scope.limitBytes)
      return { constraint: scope, source };
    return { constraint: { ...scope, limitBytes: configuredBytes }, source: "config" as const };
  });
  const share = ({ constraint }: (typeof capped)[number]) => constraint.usedBytes / constraint.limitBytes;
  return capped.reduce((worst, each) => (share(each) > share(worst) ? each : worst));
}

/** Reads memory; the cgroups around this process are found once, their limits are read again each time. */
export class MemoryMeter {
  readonly #root: Root;
  readonly #configuredBytes: number | null;
  readonly #cgroups: readonly MemoryCgroup[];

  constructor(configuredBytes: number | null, root: Root = "") {
    this.#root = root;
    this.#configuredBytes = configuredBytes;
    this.#cgroups = enclosingCgroups(root);
  }

  /** The cgroups around this process, the innermost first. */
  get cgroups(): readonly MemoryCgroup[] {
    return this.#cgroups;
  }

  /** Memory now. Throws when it cannot be read or understood. */
  read(): MemoryReading {
    const meminfo = parseMeminfo(readFileSync(`${this.#root}/proc/meminfo`, "utf8"));
    if (!meminfo) throw new Error("/proc/meminfo holds no MemTotal and MemAvailable");
    const host = {
      usedBytes: meminfo.totalBytes - meminfo.availableBytes,
      limitBytes: meminfo.totalBytes,
      cgroup: null,
    };
    const around = this.#cgroups.flatMap((cgroup) => constraintOf(cgroup, meminfo.totalBytes));
    const { constraint, source } = bindingConstraint(host, around, this.#configuredBytes);
    return {
      usedBytes: constraint.usedBytes,
      budgetBytes: constraint.limitBytes,
      usedRatio: constraint.usedBytes / constraint.limitBytes,
      source,
      cgroup: constraint.cgroup,
      swapUsedBytes: meminfo.swapTotalBytes - meminfo.swapFreeBytes,
      swapTotalBytes: meminfo.swapTotalBytes,
    };
  }
}

/** The cgroup as a constraint; none when it has no limit under the host's memory. */
function constraintOf(cgroup: MemoryCgroup, hostBytes: number): Constraint[] {
  const limit = limitBytes(cgroup);
  if (limit === null) throw new Error(`${cgroup.folder}: its limit is no number`);
  if (limit >= hostBytes) return [];
  const used = usedBytes(cgroup);
  if (used === null) throw new Error(`${cgroup.folder}: its use is no number`);
  return [{ usedBytes: used, limitBytes: Math.max(1, limit), cgroup: cgroup.folder }];
}
