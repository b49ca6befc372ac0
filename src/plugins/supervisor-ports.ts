/** What a supervisor needs from the rest, and what it tells. */

import type { Clock } from "../clock.ts";
import type { HealthReport } from "../sdk/plugin.ts";
import type { EndReport, Instance } from "./instance.ts";
import type { InstancePlan, InstancePorts } from "./instance-ports.ts";
import type { PluginState } from "./lifecycle.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { CallResult } from "./transport.ts";

export type Permission = { ok: true } | { ok: false; reason: string };

/** Why a plugin that was running does not run any more, or is to be kept from it. */
export type StopIntent = "stopped" | "shed" | "disabled";

export interface SupervisorPorts {
  clock: Clock;
  /** 0..1 */
  random(): number;
  instance: Omit<InstancePorts, "emitLog" | "junk">;
  /** From SIGTERM to SIGKILL, and before that for drain and the shutdown call together. */
  graceMs: number;
  /** Starts what it requires and waits for that; says what does not run. */
  requirements(plugin: string, requires: readonly string[]): Promise<Permission>;
  /** Asked before each start that no person ordered. */
  mayStart(plugin: string): Permission;
  /** Asked before an idle one is stopped: who needs it running, if any. */
  neededBy(plugin: string): string | null;
  /** Runs the manifest's `recovery.reset` and says in one line how that went; null: it names none. */
  reset(version: PluginVersion): Promise<string | null>;
  /** One health check of one process, in the way its manifest says. Never rejects. */
  check(instance: Instance): Promise<CallResult<HealthReport>>;
  plan(version: PluginVersion): InstancePlan;
  changed(change: { plugin: string; from: PluginState; to: PluginState; reason: string }): void;
  /** `remaining`: processes of it that still take requests. */
  exited(exit: { plugin: string; report: EndReport; expected: boolean; remaining: number }): void;
  /** How many processes take requests now. */
  counted(plugin: string, instances: number): void;
  emitLog(plugin: string, stream: "stdout" | "stderr" | "log", line: string): void;
  /** Something worth a line in conductor's own log, once a start. */
  noted(plugin: string, what: string): void;
}

/** How a plugin is ended. */
export interface StopHow {
  urgent: boolean;
  graceMs: number;
  reason: string;
  /** Waited for first: those that require it end before it does. */
  before?: Promise<unknown>;
}

export type StartOutcome = { ok: true } | { ok: false; message: string };

export interface StopReport {
  /** None of its processes is left; checked by pid and start time. */
  gone: boolean;
  /** It had to be killed. */
  killed: boolean;
  durationMs: number;
  /** No request was in flight when it was ended: none, or all answered. */
  drained: boolean;
  /** Processes beside its own that had to be killed. */
  leftBehind: number;
  /** One line for a person. */
  detail: string;
}
