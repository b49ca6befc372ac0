/** What an instance is made from, and what it needs from the rest. */

import type { Clock } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
import type { EventSource } from "./event-delivery.ts";
import type { SandboxPorts } from "./launch/sandbox-plan.ts";
import type { LimitInForce, ManifestLimits } from "./limit-in-force.ts";
import type { Manifest } from "./manifest.ts";
import type { ProcessId } from "./proc-table.ts";
import type { OnOver } from "./statm-watch.ts";

/** One start of a plugin. */
export interface InstancePlan {
  manifest: Manifest;
  /** Of this instance among all of the run. */
  number: number;
  /** Whose settings, user and data folder it has: its own name, or the module of a part of conductor. */
  owner: string;
  /** Variables beside the usual ones. */
  environment: Readonly<Record<string, string>>;
  /** Null for a plugin inside the executable. */
  folder: string | null;
  /** A folder it may write to; null when there is none. */
  dataFolder: string | null;
  config: Record<string, Json>;
  startTimeoutMs: number;
  oomScoreAdj: number | null;
}

export interface InstancePorts {
  clock: Clock;
  runId: string;
  selfCommand: readonly string[];
  /** The conductor's own environment, from which little is passed on. */
  environment: Readonly<Record<string, string | undefined>>;
  limits: {
    apply(plugin: string, limits: ManifestLimits, number: number): LimitInForce;
    /** Watches over the memory of a tree that no cgroup holds, until the result is called. */
    watch(root: ProcessId, limitBytes: number, onOver: OnOver): () => void;
  };
  sandbox: SandboxPorts;
  guard: { add(id: ProcessId): void; remove(id: ProcessId): void };
  /** Pids that never belong to a plugin. */
  never(): ReadonlySet<number>;
  /** What it may be told of; absent: nothing. */
  events?: EventSource | undefined;
  /** One line that the plugin wrote. */
  emitLog(stream: "stdout" | "stderr" | "log", line: string): void;
  /** It wrote something that is no message, or answers nothing; called for each. */
  junk(what: string): void;
}
