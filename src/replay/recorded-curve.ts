/** A curve through recorded points. */

import type { Curve } from "./curve.ts";

/**
 * Straight between the points, held before the first and after the last. Times are milliseconds, rising. Throws a
 * RangeError without a point.
 */
export function recordedCurve(atMs: Float64Array, bytes: Float64Array): Curve {
  if (atMs.length === 0) throw new RangeError("a recorded curve needs a point");
  let cursor = 0;
  /** The last point at or before `t`, or the first: mostly the one of the last question, or the next. */
  const place = (t: number): number => {
    if ((atMs[cursor] as number) > t) cursor = searched(atMs, t);
    else if (cursor + 2 < atMs.length && (atMs[cursor + 2] as number) <= t) cursor = searched(atMs, t);
    else if (cursor + 1 < atMs.length && (atMs[cursor + 1] as number) <= t) cursor++;
    return cursor;
  };
  return {
    bytesAt(t) {
      const at = place(t);
      const [here, next] = [atMs[at] as number, atMs[at + 1]];
      const value = bytes[at] as number;
      if (next === undefined || t <= here) return value;
      return value + (((bytes[at + 1] as number) - value) * (t - here)) / (next - here);
    },
    knotAfter(t) {
      const at = place(t);
      if (t < (atMs[at] as number)) return atMs[at] as number;
      return atMs[at + 1] ?? Infinity;
    },
  };
}

function searched(atMs: Float64Array, t: number): number {
  let [low, high] = [0, atMs.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((atMs[middle] as number) <= t) low = middle;
    else high = middle - 1;
  }
  return low;
}
