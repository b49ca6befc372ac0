import type { SeriesOptions } from "./forecaster.ts";

/** The largest window that a kernel holds. */
const maxWindowPoints = 1024;

/** Series that a kernel holds unless told otherwise; 66 kB of address space each with WASM, touched as points come. */
export const defaultSeriesLimit = 256;

const maxSeriesLimit = 4096;
/** A line needs three points before its residuals say anything. */
const fewestLinePoints = 3;
const maxHorizonSeconds = 1e9;
const maxHalfWidth = 1e100;

/**
 * Fills in the defaults and checks the limits. A window of one or two points is allowed and stays cold for ever.
 * Throws a `RangeError` that names the option, its value and its limits.
 */
export function resolveSeriesOptions(options: Partial<SeriesOptions> = {}): Readonly<SeriesOptions> {
  const { windowPoints = 50, emaAlpha = 0.7, coldHalfWidth = 100, horizonSeconds = 300 } = options;
  requireInteger("windowPoints", windowPoints, 1, maxWindowPoints);
  const { minPoints = Math.max(fewestLinePoints, Math.min(10, windowPoints)) } = options;
  requireInteger("minPoints", minPoints, fewestLinePoints, Math.max(fewestLinePoints, windowPoints));
  requireAbove0("emaAlpha", emaAlpha, 1);
  requireAbove0("coldHalfWidth", coldHalfWidth, maxHalfWidth);
  requireAbove0("horizonSeconds", horizonSeconds, maxHorizonSeconds);
  return Object.freeze({ windowPoints, minPoints, emaAlpha, coldHalfWidth, horizonSeconds });
}

/** Throws a `RangeError` unless `limit` is a number of series that a kernel can be asked to hold. */
export function requireSeriesLimit(limit: number): void {
  requireInteger("seriesLimit", limit, 1, maxSeriesLimit);
}

function requireInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} is ${value}: must be a whole number from ${least} to ${most}`);
}

function requireAbove0(name: string, value: number, most: number): void {
  if (value > 0 && value <= most) return;
  throw new RangeError(`${name} is ${value}: must be above 0 and at most ${most}`);
}
