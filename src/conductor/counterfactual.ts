/** History as it would have been with other plugins running. */

import type { Sample } from "../monitor/sample.ts";

/**
 * Bytes that a sample's memory use would have been if exactly `held` had been running then: less what the others
 * held, plus what those that did not run usually hold. Null where the sample does not tell.
 */
export function usedWith(
  { memory, footprints }: Sample,
  held: ReadonlySet<string>,
  usualBytes: (plugin: string) => number | null,
): number | null {
  if (memory === null || footprints === null) return null;
  let usedBytes = memory.usedBytes;
  const ran = new Set<string>();
  for (const { plugin, bytes } of footprints) {
    ran.add(plugin);
    if (!held.has(plugin)) usedBytes -= bytes;
  }
  for (const plugin of held) if (!ran.has(plugin)) usedBytes += usualBytes(plugin) ?? 0;
  return Math.max(0, usedBytes);
}
