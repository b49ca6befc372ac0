/** History as it would have been with other plugins running. */

import type { Sample } from "../monitor/sample.ts";

/** While a plugin warmed up, after `fromMs` and until `untilMs`, it held less than the `bytes` that it came to. */
export interface WarmUp {
  plugin: string;
  fromMs: number;
  untilMs: number;
  bytes: number;
}

/**
 * Bytes that a sample's memory use would have been if exactly `held` had been running then, and warm: less what the others
 * held, plus what those that did not run usually hold. Null where the sample does not tell.
 */
export function usedWith(
  { atMs, memory, footprints }: Sample,
  held: ReadonlySet<string>,
  usualBytes: (plugin: string) => number | null,
  warmUps: readonly WarmUp[] = [],
): number | null {
  if (memory === null || footprints === null) return null;
  let usedBytes = memory.usedBytes;
  const ran = new Set<string>();
  for (const { plugin, bytes } of footprints) {
    ran.add(plugin);
    const warmUp = warmUps.find(
      (each) => each.plugin === plugin && atMs > each.fromMs && atMs <= each.untilMs,
    );
    if (!held.has(plugin)) usedBytes -= bytes;
    else if (warmUp) usedBytes += warmUp.bytes - bytes;
  }
  for (const plugin of held) if (!ran.has(plugin)) usedBytes += usualBytes(plugin) ?? 0;
  return Math.max(0, usedBytes);
}
