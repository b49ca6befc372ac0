/** What can be said of one plugin now. */

import type { PluginSource } from "./discovery.ts";
import { type PermissionName, type PermissionsEnforced, unenforced } from "./enforcement.ts";
import type { PluginState } from "./lifecycle.ts";
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
  /** The process that was started; its descendants are not listed. */
  pids: number[];
  /** Starts again after an end nobody wanted, since conductor runs. */
  restarts: number;
  lastExit: { atMs: number; text: string; exitCode: number | null; signal: string | null } | null;
  lastError: string | null;
  limits: {
    memoryBytes: number | null;
    /** What enforces it, as it took effect; null while it does not run. */
    mechanism: "cgroup v1" | "cgroup v2" | "none" | null;
    /** Why it is not enforced; null when it is, or when there is none. */
    reason: string | null;
    /** For one request; null where the manifest is invalid. */
    requestTimeoutMs: number | null;
  };
  /** What holds it to each permission, as it took effect; null while it does not run. */
  permissions: PermissionsEnforced | null;
  /** The permissions that were to be held and are not: it runs because it is trusted. */
  unenforced: PermissionName[];
  inFlight: number;
  queued: number;
  /** The folder, or "bundled". */
  source: string;
  /** What it wrote that nobody asked for, since its last start. */
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

const sourceText = (source: PluginSource): string => (source.kind === "bundled" ? "bundled" : source.folder);

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
    restarts: 0,
    lastExit: null,
    lastError: errors[0] ?? null,
    limits: { memoryBytes: null, mechanism: null, reason: null, requestTimeoutMs: null },
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
export function viewOf(supervisor: Supervisor, source: PluginSource): PluginView {
  const { manifest, instance, gate } = supervisor;
  const counters = instance?.counters;
  return {
    name: manifest.name,
    version: manifest.version,
    platform: manifest.platform,
    runtime: manifest.runtime,
    state: supervisor.state,
    reason: supervisor.reason,
    sinceMs: supervisor.sinceMs,
    pids: instance?.root ? [instance.root.pid] : [],
    restarts: supervisor.restarts,
    lastExit: supervisor.lastExit,
    lastError: supervisor.lastError,
    limits: {
      memoryBytes: manifest.limits.memoryBytes,
      mechanism: instance?.limit.mechanism ?? null,
      reason: instance?.limit.reason ?? null,
      requestTimeoutMs: manifest.limits.requestTimeoutMs,
    },
    permissions: instance?.permissions ?? null,
    unenforced: instance?.permissions ? unenforced(instance.permissions) : [],
    inFlight: gate.running,
    queued: gate.queued,
    source: sourceText(source),
    output: {
      garbageMessages: counters?.garbageMessages ?? 0,
      lateAnswers: counters?.lateAnswers ?? 0,
      unknownAnswers: counters?.unknownAnswers ?? 0,
      droppedBytes: (counters?.droppedBytes ?? 0) + (instance?.logDroppedBytes ?? 0),
      garbage: supervisor.garbage,
    },
    requires: manifest.requires.map(({ name }) => name),
    start: manifest.start,
  };
}
