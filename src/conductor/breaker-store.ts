/** The circuit breakers in the database: written when they move, taken over at the next start. */

import type { Clock } from "../clock.ts";
import type { BreakerRecorder, Breakers } from "../health/breakers.ts";
import type { Log } from "../log.ts";
import { StorageError } from "../storage/errors.ts";
import type { Storage } from "../storage/storage.ts";

/** Writes each move. What cannot be written is counted by the storage, and the breaker works on. */
export function breakerRecorderOf({ breakers }: Pick<Storage, "breakers">, clock: Clock): BreakerRecorder {
  return {
    keep: (platform, stored) => void breakers.keep(platform, clock.nowMs(), stored),
    moved: ({ platform, ...move }) => void breakers.insertMove(platform, move),
    forget: (platform) => breakers.forget(platform),
  };
}

/**
 * Takes over what was stored of the platforms that have a breaker now; the time since counts. What cannot be read or
 * understood starts closed, and is said.
 */
export function restoreBreakers(breakers: Breakers, storage: Pick<Storage, "breakers">, log: Log): void {
  let kept: Record<string, unknown>;
  try {
    kept = storage.breakers.kept();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    log.warn("breakers.not_restored", { because: error.message, remedy: "all of them start closed" });
    return;
  }
  const served = new Set(breakers.list().map(({ platform }) => platform));
  const wanted = Object.entries(kept).filter(([platform]) => served.has(platform));
  const refused = breakers.restore(Object.fromEntries(wanted));
  if (refused.length > 0) log.warn("breakers.not_understood", { platforms: refused });
}
