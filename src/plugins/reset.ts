/** A plugin's `recovery.reset`: what is run before it is started again after a failure. */

import { checkByCommand } from "./health-command.ts";
import { newInstance } from "./new-instance.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { SupervisorPorts } from "./supervisor-ports.ts";

const resetMs = 10_000;

/** Runs it, at most 10 s, and yields what it said; null: it has none. */
export async function runReset(version: PluginVersion, ports: SupervisorPorts): Promise<string | null> {
  const { reset } = version.manifest.recovery;
  if (!reset) return null;
  // Never started: it is what says how a program of this plugin is run.
  const instance = newInstance(version.manifest.name, version, ports, () => undefined);
  const { clock, runId, environment, never } = ports.instance;
  const subject = { instance, clock, runId, environment, never };
  const done = await checkByCommand(reset, subject, { timeoutMs: resetMs }, "recovery.reset");
  return done.ok ? (done.value.detail ?? done.value.status) : done.message;
}
