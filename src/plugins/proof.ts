/** Starts processes of a version that is to take over, and makes sure that they are well before they do. */

import { type Clock, sleep } from "../clock.ts";
import type { HealthReport } from "../sdk/plugin.ts";
import type { Crew } from "./crew.ts";
import type { Instance } from "./instance.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { CallResult } from "./transport.ts";

export interface ProofPorts {
  clock: Clock;
  /** One health check of one process. Never rejects. */
  check(instance: Instance): Promise<CallResult<HealthReport>>;
}

export type Proven = { ok: true; instances: Instance[] } | { ok: false; message: string };

/** Checks in a row that may fail: a process that has just answered `initialize` may need a moment. */
const mostFailures = 3;
const pauseMs = 250;

/** All of `count` processes started and found healthy or degraded, or none of them left. */
export async function startProven(
  crew: Crew,
  ports: ProofPorts,
  version: PluginVersion,
  count: number,
): Promise<Proven> {
  const instances: Instance[] = [];
  for (let number = 0; number < count; number++) {
    // A start takes 2 ms in one go; requests are served between it and the scan or the start before it.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const started = await crew.start(version);
    const problem = started.ok ? await unwell(started.instance, ports) : started.message;
    if (started.ok) instances.push(started.instance);
    if (problem === null) continue;
    await Promise.all(instances.map((instance) => crew.discard(instance)));
    return { ok: false, message: problem };
  }
  return { ok: true, instances };
}

/** Why it cannot take over; null when it is well. */
async function unwell(instance: Instance, { clock, check }: ProofPorts): Promise<string | null> {
  for (let failures = 0; ; ) {
    const answer = await check(instance);
    if (answer.ok && answer.value.status !== "unhealthy") return null;
    failures++;
    const said = answer.ok ? (answer.value.detail ?? "unhealthy") : answer.message;
    if (failures === mostFailures || instance.endedByItself) return `its health check failed: ${said}`;
    await sleep(clock, pauseMs);
  }
}
