/** Bytes over time, as data: a curve may be asked for any moment, in any order, and answers the same. */

import { unitOf } from "./seeded.ts";

/** One life of a process: a restart begins the next. */
export interface Life {
  /** When it was started. */
  bornMs: number;
  /** 0 for the first. */
  index: number;
}

/** Straight between knots. Times are whole milliseconds since the epoch. */
export interface Curve {
  bytesAt(atMs: number, life: Life): number;
  /** The first knot after `atMs`; Infinity when there is none. */
  knotAfter(atMs: number, life: Life): number;
}

/** Always the same. */
export const flat = (bytes: number): Curve => ({ bytesAt: () => bytes, knotAfter: () => Infinity });

/** All of them together; never less than nothing. */
export function together(curves: readonly Curve[]): Curve {
  const [only] = curves;
  if (only && curves.length === 1) return only;
  return {
    bytesAt(atMs, life) {
      let sum = 0;
      for (const curve of curves) sum += curve.bytesAt(atMs, life);
      return Math.max(0, sum);
    },
    knotAfter(atMs, life) {
      let first = Infinity;
      for (const curve of curves) first = Math.min(first, curve.knotAfter(atMs, life));
      return first;
    },
  };
}

/** Knots of the noise; the samples of 30 s lie on them. */
const noiseStepMs = 30_000;

/** Noise around zero with this deviation: the sum of three uniform numbers is near enough to normal. */
export function noise(seed: number, deviationBytes: number): Curve {
  let [cached, left, right] = [Number.NaN, 0, 0];
  const knot = (step: number): number => {
    const sum = unitOf(seed, step, 1) + unitOf(seed, step, 2) + unitOf(seed, step, 3);
    return (sum - 1.5) * 2 * deviationBytes;
  };
  return {
    bytesAt(atMs) {
      const step = Math.floor(atMs / noiseStepMs);
      if (step !== cached) {
        left = step === cached + 1 ? right : knot(step);
        right = knot(step + 1);
        cached = step;
      }
      return left + ((right - left) * (atMs - step * noiseStepMs)) / noiseStepMs;
    },
    knotAfter: (atMs) => (Math.floor(atMs / noiseStepMs) + 1) * noiseStepMs,
  };
}
