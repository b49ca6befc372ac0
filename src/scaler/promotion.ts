/**
 * When a shadow policy may act in place of the configured one, and when it has to go back. Pure.
 *
 *   configured --- a person --------------------------------------> promoted
 *     ^    |                                                          ^  |
 *     |    +--- enough evidence --> on probation --- its time is over +  |
 *     |                                  |                               |
 *     +--- emergency, OOM kill, flaps ---+                               |
 *     +--- a person -----------------------------------------------------+
 *
 * What went back for trouble is not promoted by evidence again while its policy is the same.
 */

import { formatDuration } from "../config/units.ts";
import type { Policy } from "./situation.ts";

/** Who orders it, and why. */
export interface Order {
  by: "person" | "evidence" | "probation";
  who: string | null;
  reason: string;
}

/** The shadow that acts. */
export interface Promoted extends Order {
  shadow: string;
  policy: Policy;
  sinceMs: number;
  /** Null: it is not, or no more, on probation. */
  probationUntilMs: number | null;
  oomKills: number | null;
}

export type Ordered =
  | { ok: true }
  | { ok: false; code: "not-promoted" | "acts-already" | "failed" | "not-kept"; message: string };

/** What evidence is asked for. */
export interface EvidenceTerms {
  afterMs: number;
  /** Weighted availability, 0..1. */
  betterBy: number;
  differences: number;
}

/** A difference of two policies with the bounds of its 95 % interval. */
export interface Interval {
  mean: number;
  low: number;
  high: number;
}

export interface Evidence {
  /** Since when it has been watched. */
  watchedMs: number;
  /** Decisions that differed. */
  differences: number;
  /** By how much weighted availability would have been better, 0..1; null: it was not replayed. */
  gain: Interval | null;
}

export interface EvidenceVerdict {
  enough: boolean;
  because: string;
}

const points = (share: number): string => `${(share * 100).toFixed(2)} points`;

/** Whether a replay is worth its time: all but the gain is there. */
export const worthReplaying = ({ watchedMs, differences }: Omit<Evidence, "gain">, terms: EvidenceTerms) =>
  watchedMs >= terms.afterMs && differences >= terms.differences;

/** Whether the evidence is enough, and the reason in one line. */
export function judgeEvidence(
  { watchedMs, differences, gain }: Evidence,
  terms: EvidenceTerms,
): EvidenceVerdict {
  const not = (because: string): EvidenceVerdict => ({ enough: false, because });
  const watched = `watched for ${formatDuration(watchedMs)}`;
  if (watchedMs < terms.afterMs) return not(`${watched}, less than ${formatDuration(terms.afterMs)}`);
  if (differences < terms.differences)
    return not(`${differences} decisions differed, fewer than ${terms.differences}`);
  if (gain === null) return not("it was not replayed");
  const shown = `${points(gain.mean)} of weighted availability (95 % interval ${points(gain.low)} to ${points(gain.high)})`;
  if (gain.low <= 0) return not(`its gain of ${shown} may be chance`);
  if (gain.mean < terms.betterBy) return not(`its gain of ${shown} is less than ${points(terms.betterBy)}`);
  return { enough: true, because: `${watched}, ${differences} decisions differed, and it gains ${shown}` };
}

/** What has happened since a promotion by evidence. */
export interface Probation {
  emergencies: number;
  /** By the kernel; null: it does not tell. */
  oomKills: number | null;
  flaps: number;
  /** In as long a time as the whole probation, under the policy before. */
  flapsBefore: number;
}

/** Why a policy on probation has to go back, or null. */
export function troubleOf({ emergencies, oomKills, flaps, flapsBefore }: Probation): string | null {
  if (oomKills !== null && oomKills > 0) return `the kernel killed for memory (${oomKills})`;
  if (emergencies > 0) return `memory came to the emergency line (${emergencies})`;
  if (flaps > flapsBefore)
    return `plugins were shed soon after their restore ${flaps} times, the policy before had ${flapsBefore}`;
  return null;
}

/** An action that was carried out, in the order of time. */
export interface Acted {
  atMs: number;
  kind: "shed" | "restore";
  plugin: string;
}

/** A shed this soon after the plugin's restore is a flap. */
const flapMs = 600_000;

/** Flaps whose shed lies within `fromMs` and `untilMs`; `actions` go back further than that, the oldest first. */
export function countFlaps(actions: readonly Acted[], fromMs: number, untilMs: number): number {
  const restoredAtMs = new Map<string, number>();
  let flaps = 0;
  for (const { atMs, kind, plugin } of actions) {
    if (kind === "restore") {
      restoredAtMs.set(plugin, atMs);
      continue;
    }
    const sinceMs = atMs - (restoredAtMs.get(plugin) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs <= flapMs && atMs >= fromMs && atMs < untilMs) flaps++;
  }
  return flaps;
}
