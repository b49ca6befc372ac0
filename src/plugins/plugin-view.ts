/** What can be said of one plugin now. */

import {
  type Enforced,
  type LimitName,
  type PermissionName,
  type PermissionsEnforced,
  unenforced,
} from "./enforcement.ts";
import { type PluginSource, sourceText } from "./found-plugin.ts";
import type { Instance } from "./instance.ts";
import type { PluginState } from "./lifecycle.ts";
import type { LimitInForce } from "./limit-in-force.ts";
import type { Manifest } from "./manifest.ts";
import type { Supervisor } from "./supervisor.ts";

/** One plugin as it is shown. Times are milliseconds since the epoch, amounts bytes. */
export interface PluginView {
  name: string;
  /** Null where the manifest is invalid. */
  version: string | null;
  platform: string | null;
  runtime: "bun" | "exec" | null;
  state: PluginState;
  /** Why it is in this state, for a person. */
  reason: string;
  sinceMs: number;
  /** The processes that were started, those that take requests first; their descendants are not listed. */
  pids: number[];
  /** Processes that take requests, how many are wanted, and why there are fewer. */
  instances: { running: number; wanted: number; shortfall: string | null };
  /** What was found in its folder since and cannot be used: the version that runs goes on. */
  problem: string | null;
  /** Starts again after an end nobody wanted, since conductor runs. */
  restarts: number;
  lastExit: { atMs: number; text: string; exitCode: number | null; signal: string | null } | null;
  lastError: string | null;
  limits: {
    memoryBytes: number | null;
    /** What enforces it: "cgroup v1", "cgroup v2", "statm watch", "none"; null while it does not run. */
    mechanism: string | null;
    /** Why it is not enforced; null when it is, or when there is none. */
    reason: string | null;
    /** For one request; null where the manifest is invalid. */
    requestTimeoutMs: number | null;
    /** Requests at a time for each instance, and how many more wait; null where the manifest is invalid. */
    concurrency: number | null;
    queue: number | null;
    /** Each limit of the manifest (bytes, cores, counts; null: none), and what holds it while the plugin runs. */
    enforced: Record<LimitName, Enforced & { limit: number | null }>;
  };
  /** What holds it to each permission, as it took effect; null while it does not run. */
  permissions: PermissionsEnforced | null;
  /** The permissions that were to be held and are not: it runs because it is trusted. */
  unenforced: PermissionName[];
  inFlight: number;
  queued: number;
  /** The folder, or "bundled". */
  source: string;
  /** What its processes wrote that nobody asked for, each since its start. */
  output: {
    garbageMessages: number;
    lateAnswers: number;
    unknownAnswers: number;
    /** Bytes of garbage, and of output over the limits. */
    droppedBytes: number;
    /** What the latest garbage was; null when there was none. */
    garbage: string | null;
  };
  requires: string[];
  start: "eager" | "lazy" | null;
}

const nothing = { limit: null, mechanism: null, reason: null };

function limitsView({ limits }: Manifest, limit: LimitInForce | null): PluginView["limits"] {
  const one = (name: LimitName, amount: number | null) => ({
    ...nothing,
    ...limit?.enforced[name],
    limit: amount,
  });
  const enforced = {
    memory: one("memory", limits.memoryBytes),
    cpu: one("cpu", limits.cpuCores),
    processes: one("processes", limits.processes),
    openFiles: one("openFiles", limits.openFiles),
  };
  // A plugin without a limit is in a cgroup too, which measures it.
  const measuredBy = limit?.cgroup ? `cgroup v${limit.cgroup.version}` : "none";
  return {
    memoryBytes: limits.memoryBytes,
    mechanism: limit && (enforced.memory.mechanism ?? measuredBy),
    reason: enforced.memory.reason,
    requestTimeoutMs: limits.requestTimeoutMs,
    concurrency: limits.concurrency,
    queue: limits.queue,
    enforced,
  };
}

/** A plugin that cannot run. */
export function invalidView(
  name: string,
  source: PluginSource,
  errors: readonly string[],
  sinceMs: number,
): PluginView {
  return {
    name,
    version: null,
    platform: null,
    runtime: null,
    state: "invalid",
    reason: errors.join("; "),
    sinceMs,
    pids: [],
    instances: { running: 0, wanted: 0, shortfall: null },
    problem: null,
    restarts: 0,
    lastExit: null,
    lastError: errors[0] ?? null,
    limits: {
      memoryBytes: null,
      mechanism: null,
      reason: null,
      requestTimeoutMs: null,
      concurrency: null,
      queue: null,
      enforced: { memory: nothing, cpu: nothing, processes: nothing, openFiles: nothing },
    },
    permissions: null,
    unenforced: [],
    inFlight: 0,
    queued: 0,
    source: sourceText(source),
    output: { garbageMessages: 0, lateAnswers: 0, unknownAnswers: 0, droppedBytes: 0, garbage: null },
    requires: [],
    start: null,
  };
}

/** A plugin with a supervisor. */
export function viewOf(
  supervisor: Supervisor,
  source: PluginSource | null,
  problems: readonly string[],
): PluginView {
  const { manifest, instance, gate } = supervisor;
  const sum = (of: (each: Instance) => number): number =>
    supervisor.instances.reduce((total, each) => total + of(each), 0);
  return {
    name: manifest.name,
    version: manifest.version,
    platform: manifest.platform,
    runtime: manifest.runtime,
    state: supervisor.state,
    reason: supervisor.reason,
    sinceMs: supervisor.sinceMs,
    pids: supervisor.instances.flatMap(({ root }) => root?.pid ?? []),
    instances: {
      running: supervisor.members.length,
      wanted: supervisor.instancesWanted,
      shortfall: supervisor.shortfall,
    },
    problem: problems.length > 0 ? problems.join("; ") : null,
    restarts: supervisor.restarts,
    lastExit: supervisor.lastExit,
    lastError: supervisor.lastError,
    limits: limitsView(manifest, instance?.limit ?? null),
    permissions: instance?.permissions ?? null,
    unenforced: instance?.permissions ? unenforced(instance.permissions) : [],
    inFlight: gate.running,
    queued: gate.queued,
    source: source ? sourceText(source) : "gone",
    output: {
      garbageMessages: sum((each) => each.counters.garbageMessages),
      lateAnswers: sum((each) => each.counters.lateAnswers),
      unknownAnswers: sum((each) => each.counters.unknownAnswers),
      droppedBytes: sum((each) => each.counters.droppedBytes + each.logDroppedBytes),
      garbage: supervisor.garbage,
    },
    requires: manifest.requires.map(({ name }) => name),
    start: manifest.start,
  };
}
