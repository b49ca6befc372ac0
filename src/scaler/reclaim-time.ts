/** How long memory took to come back. Pure. */

import type { Outcome } from "./ports.ts";

/** What a kill took; a plugin that ended by itself took its own time, and of one that was hastened on the way it is not known. */
export function reclaimMs({ carried, urgent, durationMs, drainMs }: Outcome): number | null {
  if (!carried.killed) return null;
  if (drainMs === undefined) return urgent ? durationMs : null;
  return urgent ? null : durationMs - drainMs;
}
