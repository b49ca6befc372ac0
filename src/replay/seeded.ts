/** Chance that depends on nothing but its keys: the same at every step width, for every policy, on every machine. */

/** From 0 up to, not including, 1. Keys are whole numbers; mixed as MurmurHash3 does at its end (Appleby 2011). */
export function unitOf(seed: number, first: number, second = 0): number {
  let h = mixed(seed | 0);
  h = mixed(h ^ Math.imul(first | 0, 0x9e3779b1));
  h = mixed(h ^ Math.imul(second | 0, 0x85ebca77));
  return (h >>> 0) / 2 ** 32;
}

/** A seed of its own for a part of what `seed` makes. */
export const seedOf = (seed: number, part: number): number =>
  Math.floor(unitOf(seed, part, 0x5eed) * 2 ** 32);

/** From `least` up to `most`. */
export const between = (share: number, [least, most]: Range): number => least + share * (most - least);

export type Range = readonly [least: number, most: number];

function mixed(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) + 0x27d4eb2f;
}
