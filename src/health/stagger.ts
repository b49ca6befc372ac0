/** When within a round each plugin is checked. */

/** A small repeatable generator (mulberry32, public domain, Tommy Ettinger): numbers in [0, 1). */
export function seededUnit(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Jitter as a share of a slot: enough to leave step with other periodic work, too little to change the order. */
const jitterShare = 0.25;

/**
 * Offsets in milliseconds, ascending, of `count` checks spread evenly over `intervalMs`: the i-th lies in
 * [i, i + 0.25) · intervalMs / count.
 */
export function staggeredOffsetsMs(count: number, intervalMs: number, unit: () => number): number[] {
  const slotMs = intervalMs / count;
  return Array.from({ length: count }, (_, index) => (index + unit() * jitterShare) * slotMs);
}
