/**
 * Ordinary least squares over a window, refitted from its points. Times and values are taken relative to the oldest
 * point and then to their means, so that epoch seconds, large offsets and near-constant values lose no digits; the
 * residuals get a pass of their own, because Syy - slope * Sxy cancels where the line fits well.
 * `assembly/ols.ts` does the same operations in the same order: change both or neither.
 */

import { studentT975 } from "../../src/forecast/student-t.ts";
import type { PointRing } from "./point-ring.ts";

/** A fitted line; times are relative to `originSeconds`, values to `originValue`, the oldest point's. */
export interface LineFit {
  points: number;
  originSeconds: number;
  originValue: number;
  /** Mean of the times, relative to `originSeconds`. */
  meanTime: number;
  /** Mean of the values, relative to `originValue`. */
  meanValue: number;
  /** 0 for a window of one point. */
  slopePerSecond: number;
  /** Sum of the squared distances of the times from their mean. */
  sumSquaredTime: number;
  sumSquaredResidual: number;
}

/** A fit to hand to `fitLine`, which overwrites it: a push allocates nothing. */
export function emptyFit(): LineFit {
  return {
    points: 0,
    originSeconds: 0,
    originValue: 0,
    meanTime: 0,
    meanValue: 0,
    slopePerSecond: 0,
    sumSquaredTime: 0,
    sumSquaredResidual: 0,
  };
}

/** Fits the line through the points of `ring`, at least one, into `fit`. Their order does not matter to it. */
export function fitLine(ring: PointRing, fit: LineFit): void {
  centre(ring, fit);
  const { times, values, capacity, oldest, points } = ring;
  const { originSeconds, originValue, meanTime, meanValue } = fit;
  let sxx = 0;
  let sxy = 0;
  for (let i = 0, index = oldest; i < points; i++) {
    const dt = (times[index] as number) - originSeconds - meanTime;
    const dy = (values[index] as number) - originValue - meanValue;
    sxx += dt * dt;
    sxy += dt * dy;
    index = index + 1 === capacity ? 0 : index + 1;
  }
  const slope = sxx > 0 ? sxy / sxx : 0;
  let sse = 0;
  for (let i = 0, index = oldest; i < points; i++) {
    const dt = (times[index] as number) - originSeconds - meanTime;
    const dy = (values[index] as number) - originValue - meanValue;
    const residual = dy - slope * dt;
    sse += residual * residual;
    index = index + 1 === capacity ? 0 : index + 1;
  }
  fit.slopePerSecond = slope;
  fit.sumSquaredTime = sxx;
  fit.sumSquaredResidual = sse;
}

function centre(ring: PointRing, fit: LineFit): void {
  const { times, values, capacity, oldest, points } = ring;
  const originSeconds = times[oldest] as number;
  const originValue = values[oldest] as number;
  let sumTime = 0;
  let sumValue = 0;
  for (let i = 0, index = oldest; i < points; i++) {
    sumTime += (times[index] as number) - originSeconds;
    sumValue += (values[index] as number) - originValue;
    index = index + 1 === capacity ? 0 : index + 1;
  }
  fit.points = points;
  fit.originSeconds = originSeconds;
  fit.originValue = originValue;
  fit.meanTime = sumTime / points;
  fit.meanValue = sumValue / points;
}

/** The fitted line at `fromMean` seconds after the mean of the times. */
export function lineAt(fit: LineFit, fromMean: number): number {
  return fit.originValue + (fit.meanValue + fit.slopePerSecond * fromMean);
}

/** s² = SSE / (n - 2). The fit must have at least three points. */
export function residualVariance(fit: LineFit): number {
  return fit.sumSquaredResidual / (fit.points - 2);
}

/**
 * Half-width of the 95 % prediction interval of one new value at `fromMean` seconds after the mean of the times:
 * t(0.975, n - 2) * sqrt(s² (1 + 1/n + (t0 - tbar)² / Sxx)).
 */
export function predictionHalfWidth(fit: LineFit, fromMean: number): number {
  const leverage = 1 + 1 / fit.points + (fromMean * fromMean) / fit.sumSquaredTime;
  return studentT975(fit.points - 2) * Math.sqrt(residualVariance(fit) * leverage);
}
