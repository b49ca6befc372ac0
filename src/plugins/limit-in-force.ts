/** What holds one instance to its limits: worked out from the cgroups it got, and from why it got none. */

import type { Controller } from "./cgroup-place.ts";
import { cpuUnlimited, leastCores } from "./cgroup-settings.ts";
import type { Enforced, LimitsEnforced } from "./enforcement.ts";
import type { Manifest } from "./manifest.ts";
import type { PluginCgroup } from "./plugin-cgroup.ts";
import { canWatchStatm } from "./statm-watch.ts";

export type ManifestLimits = Manifest["limits"];

/** What an instance has of one controller. */
export type Held = { cgroup: PluginCgroup } | { cgroup: null; why: string };

/** The limits of one instance, as they took effect. */
export interface LimitInForce {
  /** Its memory cgroup, which holds it and nothing else; null where there is none. */
  cgroup: PluginCgroup | null;
  /** Every cgroup of it, each once: in version 1 one for each controller. */
  cgroups: readonly PluginCgroup[];
  /** `cgroup.procs` of each, to be entered before the program runs. */
  procsFiles: readonly string[];
  enforced: LimitsEnforced;
  /** What its processes are made to yield with where no quota holds them; null: nothing. */
  niceness: number | null;
  /** Bytes to watch over where no cgroup holds its memory; null: nothing. */
  watchBytes: number | null;
  /** Processes to be held to by other means (RLIMIT_NPROC, for a user of its own); null: a cgroup does. */
  processesWithoutCgroup: number | null;
  /** What all of this was worked out from. */
  held: Readonly<Record<Controller, Held>>;
}

/** Half of the way to the least priority there is: it yields to others, and still runs beside them. */
const yieldingNiceness = 10;

const heldBy = ({ version }: PluginCgroup): Enforced => ({ mechanism: `cgroup v${version}`, reason: null });
/** Nothing holds it, and nothing has to. */
const unlimited: Enforced = { mechanism: null, reason: null };

function memoryHeld(bytes: number | null, held: Held): Enforced {
  if (bytes === null) return unlimited;
  if (held.cgroup) return heldBy(held.cgroup);
  if (!canWatchStatm) return { mechanism: null, reason: `limits.memory is not enforced: ${held.why}` };
  return {
    mechanism: "statm watch",
    reason: `the kernel does not hold limits.memory: ${held.why}; conductor looks 4 to 10 times a second and kills, so for that long a plugin may hold more`,
  };
}

function cpuHeld(cores: number | null, held: Held): Enforced {
  if (cores === null) return unlimited;
  if (!held.cgroup)
    return {
      mechanism: `nice ${yieldingNiceness}`,
      reason: `limits.cpu has no quota: ${held.why}; nice only makes it yield to others`,
    };
  const reason = cores < leastCores ? `a quota of ${leastCores} cores is the least there is` : null;
  return { ...heldBy(held.cgroup), reason };
}

function processesHeld(held: Held): Enforced {
  if (held.cgroup) return heldBy(held.cgroup);
  return { mechanism: null, reason: `limits.processes is not enforced: ${held.why}` };
}

/** Works out what is in force from what the instance has of each controller. */
export function limitInForce(limits: ManifestLimits, held: Readonly<Record<Controller, Held>>): LimitInForce {
  const byFolder = new Map<string, PluginCgroup>();
  for (const { cgroup } of [held.memory, held.cpu, held.pids])
    if (cgroup) byFolder.set(cgroup.folder, cgroup);
  const cgroups = [...byFolder.values()];
  const { cpuCores, memoryBytes, processes } = limits;
  return {
    cgroup: held.memory.cgroup,
    cgroups,
    procsFiles: cgroups.map(({ procsFile }) => procsFile),
    enforced: {
      memory: memoryHeld(memoryBytes, held.memory),
      cpu: cpuHeld(cpuCores, held.cpu),
      processes: processesHeld(held.pids),
      openFiles: unlimited, // Until the launcher tells what took effect.
    },
    niceness: cpuCores !== null && held.cpu.cgroup === null ? yieldingNiceness : null,
    watchBytes: held.memory.cgroup === null && canWatchStatm ? memoryBytes : null,
    processesWithoutCgroup: held.pids.cgroup === null ? processes : null,
    held,
  };
}

/** Nothing but what works without any cgroup; `why` there is none. */
export function limitsWithoutCgroups(limits: ManifestLimits, why: string): LimitInForce {
  const none: Held = { cgroup: null, why };
  return limitInForce(limits, { memory: none, cpu: none, pids: none });
}

/**
 * Lets a plugin that is to be killed have all the processor time it wants: under its quota it would be slow to end, and
 * to give back its memory.
 */
export function liftCpuQuota({ held: { cpu } }: LimitInForce): void {
  try {
    cpu.cgroup?.set(cpuUnlimited(cpu.cgroup.version));
  } catch {
    return; // Its cgroup is gone, and so is the plugin; or it ends slowly.
  }
}

/** What is left in force when the process did not get into some of its cgroups; those are removed. */
export function withoutNotEntered(
  limit: LimitInForce,
  limits: ManifestLimits,
  problems: readonly { procsFile: string; code: string }[],
): LimitInForce {
  if (problems.length === 0) return limit;
  const left = (held: Held): Held => {
    const problem = problems.find(({ procsFile }) => procsFile === held.cgroup?.procsFile);
    if (!problem || !held.cgroup) return held;
    held.cgroup.remove();
    return { cgroup: null, why: `it could not enter ${held.cgroup.folder} (${problem.code})` };
  };
  const { memory, cpu, pids } = limit.held;
  return limitInForce(limits, { memory: left(memory), cpu: left(cpu), pids: left(pids) });
}

/** With what the launcher did before the program ran. */
export function withLaunched(
  limit: LimitInForce,
  launched: { openFiles: Enforced; processes: Enforced | null },
): LimitInForce {
  const { openFiles } = launched;
  const processes = launched.processes ?? limit.enforced.processes;
  return { ...limit, enforced: { ...limit.enforced, openFiles, processes } };
}
