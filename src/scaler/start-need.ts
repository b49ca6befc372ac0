/** What a start reserves. Pure. */

import { formatBytes } from "../config/units.ts";
import type { PluginFacts } from "./situation.ts";

export interface Need {
  bytes: number;
  /** For a sentence: "its peak of 340 MiB"; null where nothing is known. */
  what: string | null;
}

/**
 * What a plugin takes when it starts: its learned peak. A peak of more than `roomBytes`, what is free beside all that
 * runs now, counts at most as what it holds at most in its first seconds and what it usually holds together: what runs now
 * may run for ever, and a plugin that once leaked until it was shed must not stay away as long. One that always needs about
 * the same waits for its whole peak, since that is less than both. Before it was ever measured, what its manifest expects.
 */
export function startNeed(plugin: PluginFacts | undefined, roomBytes: number): Need {
  const { peakBytes = null, learnedBytes = null, startBytes = null, hintBytes = null } = plugin ?? {};
  const modestBytes = (startBytes ?? 0) + (learnedBytes ?? 0);
  if (peakBytes !== null && (peakBytes <= roomBytes || modestBytes === 0 || peakBytes <= modestBytes))
    return { bytes: peakBytes, what: `its peak of ${formatBytes(peakBytes)}` };
  if (peakBytes !== null)
    return {
      bytes: modestBytes,
      what: `the ${formatBytes(modestBytes)} that it starts with and usually holds`,
    };
  if (learnedBytes !== null) return { bytes: learnedBytes, what: `its usual ${formatBytes(learnedBytes)}` };
  if (hintBytes !== null)
    return { bytes: hintBytes, what: `the ${formatBytes(hintBytes)} that its manifest expects` };
  return { bytes: 0, what: null };
}
