/** Ends all plugins within a fixed time: each before what it requires, in parallel where neither needs the other. */

import type { Clock } from "../clock.ts";
import type { Supervisor } from "./supervisor.ts";

/** The longest chain of requirements among `supervisors`; at least 1. */
function depthOf(supervisors: readonly Supervisor[]): number {
  const depths = new Map<string, number>();
  // They stand in dependency order: what one requires has its depth already.
  for (const { name, manifest } of supervisors)
    depths.set(name, 1 + Math.max(0, ...manifest.requires.map((required) => depths.get(required.name) ?? 0)));
  return Math.max(1, ...depths.values());
}

/** `supervisors` in dependency order. True when every process is gone. After most of `totalMs` it only kills. */
export async function stopInOrder(
  supervisors: readonly Supervisor[],
  options: { clock: Clock; totalMs: number; graceMs: number },
): Promise<boolean> {
  const { clock, totalMs } = options;
  // The grace may pass twice for one plugin: before and after the signal.
  const graceMs = Math.min(options.graceMs, (totalMs * 0.8) / (2 * depthOf(supervisors)));
  const stops = new Map<string, Promise<boolean>>();
  let urgent = false;
  for (const supervisor of supervisors.toReversed()) {
    const dependents = supervisors.filter(({ manifest }) =>
      manifest.requires.some(({ name }) => name === supervisor.name),
    );
    const before = Promise.all(dependents.map(({ name }) => stops.get(name) ?? true));
    const stop = before.then(async () => {
      const intent =
        supervisor.state === "shed" || supervisor.state === "disabled" ? supervisor.state : "stopped";
      const report = await supervisor.stop(intent, { urgent, graceMs, reason: "conductor is ending" });
      return report.gone;
    });
    stops.set(supervisor.name, stop);
  }
  const lastCall = clock.after(totalMs * 0.85, () => {
    urgent = true;
    for (const supervisor of supervisors) supervisor.hasten();
  });
  const gone = await Promise.all(stops.values());
  lastCall.cancel();
  return gone.every(Boolean);
}
