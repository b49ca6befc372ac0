/** Which later sample judges a forecast. */

/** Points of a series that are history: the first forecast that is scored is made at the one after them. */
export const historyPoints = 60;

/** Why the forecast made at a point is not scored; `noForecast`: a method had none, so that none is scored there. */
export interface SkippedCounts {
  /** Made at one of the first 60 points of a series. */
  history: number;
  /** No sample at the target or within one sampling step after it. */
  gap: number;
  /** The series ends before the target. */
  end: number;
  noForecast: number;
}

/** In place of the index of a sample, where none judges the forecast. */
export const noTarget = -1;

/** Times closer than that are the same: decimal fractions of seconds are not exact. */
const sameSeconds = 1e-6;

/**
 * By point, the index of the first sample at or after its time + `horizonSeconds`, if it comes before one sampling step
 * (the median step of the series) has passed; `noTarget` where there is none, counted in `skipped`.
 */
export function targetsOf(
  tSeconds: Float64Array,
  horizonSeconds: number,
  skipped: SkippedCounts,
): Int32Array {
  const points = tSeconds.length;
  const targets = new Int32Array(points).fill(noTarget);
  const stepSeconds = medianStepSeconds(tSeconds);
  skipped.history += Math.min(points, historyPoints);
  let later = 0;
  for (let i = historyPoints; i < points; i++) {
    const target = (tSeconds[i] as number) + horizonSeconds - sameSeconds;
    while (later < points && (tSeconds[later] as number) < target) later++;
    if (later === points) skipped.end++;
    else if ((tSeconds[later] as number) < target + stepSeconds) targets[i] = later;
    else skipped.gap++;
  }
  return targets;
}

/** The median of the steps, the mean of the middle two where their number is even; 0 for a single point. */
export function medianStepSeconds(tSeconds: Float64Array): number {
  if (tSeconds.length < 2) return 0;
  const steps = new Float64Array(tSeconds.length - 1);
  for (let i = 0; i < steps.length; i++) steps[i] = (tSeconds[i + 1] as number) - (tSeconds[i] as number);
  steps.sort();
  const middle = steps.length >> 1;
  const upper = steps[middle] as number;
  return steps.length % 2 === 1 ? upper : ((steps[middle - 1] as number) + upper) / 2;
}
