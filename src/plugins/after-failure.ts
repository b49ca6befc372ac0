/** What becomes of a plugin that ended by itself, or did not start. Pure. */

import { formatDuration } from "../config/units.ts";
import type { Manifest } from "./manifest.ts";
import type { NextRestart } from "./restart-backoff.ts";

export interface AfterFailure {
  state: "stopped" | "failed" | "crash-loop";
  /** For a person. */
  reason: string;
  /** Null: it is not started again. */
  restartInMs: number | null;
}

/** "restarted 5 times in 10 min". */
export const tooOften = ({ recovery }: Manifest, restarts: number): string =>
  `restarted ${restarts} times in ${formatDuration(recovery.maxRestarts.windowMs)}`;

/** `next` counts a restart, and is asked only where one is wanted. */
export function afterFailure(
  manifest: Manifest,
  { text, exitCode }: { text: string; exitCode: number | null },
  next: () => NextRestart,
): AfterFailure {
  const { restart } = manifest.recovery;
  if (restart === "on-failure" && exitCode === 0)
    return { state: "stopped", reason: `${text} (recovery.restart: on-failure)`, restartInMs: null };
  if (restart === "never")
    return {
      state: "failed",
      reason: `${text}; not restarted (recovery.restart: never)`,
      restartInMs: null,
    };
  const then = next();
  if (then.kind === "wait")
    return {
      state: "failed",
      reason: `${text}; restart in ${formatDuration(then.delayMs)}`,
      restartInMs: then.delayMs,
    };
  return {
    state: "crash-loop",
    reason: `${text}; ${tooOften(manifest, then.restarts)}, now it waits for a person`,
    restartInMs: null,
  };
}
