/** The first thing done to a plugin in an emergency. */

import type { Supervisor } from "./supervisor.ts";

/** Sends SIGKILL to all that runs of it, before anything is logged, told or waited for. */
export function strike(supervisor: Supervisor | null): void {
  for (const { instance } of supervisor?.members ?? []) instance.hasten();
}
