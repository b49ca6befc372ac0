/**
 * The least-squares line from the sums of a window. With n points, u = t - T, v = y - Y and a dash for a mean:
 *
 *     Sxx = sum u² - u' sum u      Sxy = sum uv - v' sum u      slope = Sxy / Sxx
 *
 * The sum of squared residuals is a spread less what the line explains of it: Syy - Sxy² / Sxx, or, of the residuals r
 * about a reference slope b, Srr - Sxr² / Sxx with Sxr = Sxy - b Sxx. In theory they are equal; the one with the smaller
 * spread cancels less, so that a steep straight line keeps the digits of its residuals, and so does a flat stretch
 * after one.
 *
 * The 95 % prediction interval of one new value at t0 is value ± t(0.975, n - 2) sqrt(s² (1 + 1/n + (t0 - t')² / Sxx))
 * with s² = SSE / (n - 2). `assembly/line-fit.ts` does the same operations in the same order: change both or neither.
 */
import { emaStep } from "./ema.ts";
import { turn } from "./line-sums.ts";
import {
  BASE_WIDTH,
  EMA_ALPHA,
  HORIZON_SECONDS,
  INVERSE_POINTS,
  MIRROR,
  MODE,
  NEXT,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  OUTPUT_HALF_WIDTH,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_SUM_SQUARED_RESIDUAL,
  OUTPUT_VALUE,
  POINT_FIELDS,
  POINT_SUFFIX,
  RECENT,
  type SeriesMemory,
  SLOPE,
  SUM_RESIDUAL_SQUARED,
  SUM_TIME,
  SUM_TIME_TIME,
  SUM_TIME_VALUE,
  SUM_VALUE,
  SUM_VALUE_SQUARED,
  WIDTH_FACTOR,
} from "./series-layout.ts";
import { isCold } from "./window-fill.ts";

/** How much wider the spread about the reference slope may be before that about none is taken. */
const preference = 4;

/** Puts a point in its place, fits the window, and writes the forecast. */
export function stepLine(memory: SeriesMemory, place: number, tSeconds: number, value: number): void {
  const { doubles: m, counters } = memory;
  const rest = place + POINT_SUFFIX;
  const u = tSeconds - (m[RECENT + ORIGIN_TIME] as number);
  const v = value - (m[RECENT + ORIGIN_VALUE] as number);
  const about = m[RECENT + SLOPE] as number;
  const r = v - about * u;
  const sumTime = addTo(m, RECENT + SUM_TIME, u) + (m[rest + SUM_TIME] as number);
  const sumValue = addTo(m, RECENT + SUM_VALUE, v) + (m[rest + SUM_VALUE] as number);
  const timeTime = addTo(m, RECENT + SUM_TIME_TIME, u * u) + (m[rest + SUM_TIME_TIME] as number);
  const timeValue = addTo(m, RECENT + SUM_TIME_VALUE, u * v) + (m[rest + SUM_TIME_VALUE] as number);
  const residuals =
    addTo(m, RECENT + SUM_RESIDUAL_SQUARED, r * r) + (m[rest + SUM_RESIDUAL_SQUARED] as number);
  const squares = addTo(m, RECENT + SUM_VALUE_SQUARED, v * v) + (m[rest + SUM_VALUE_SQUARED] as number);
  m[place] = tSeconds;
  m[place + 1] = value;
  counters[NEXT] = place + POINT_FIELDS;
  turn(m, counters[MIRROR] as number, place, tSeconds, value);

  const inverse = m[INVERSE_POINTS] as number;
  const meanTime = sumTime * inverse;
  const meanValue = sumValue * inverse;
  const sxx = timeTime - sumTime * meanTime;
  const sxy = timeValue - sumTime * meanValue;
  const reciprocal = 1 / sxx;
  const slope = sxy * reciprocal;
  const sumResidual = sumValue - about * sumTime;
  const residualSpread = residuals - sumResidual * sumResidual * inverse;
  const valueSpread = squares - sumValue * sumValue * inverse;
  const sxr = sxy - about * sxx;
  const aboutReference = residualSpread < preference * valueSpread;
  const unexplained = aboutReference
    ? residualSpread - sxr * (sxr * reciprocal)
    : valueSpread - sxy * (sxy * reciprocal);
  const fromMean = u - meanTime + (m[HORIZON_SECONDS] as number);
  const forecast = (m[RECENT + ORIGIN_VALUE] as number) + (meanValue + slope * fromMean);
  if (counters[MODE] !== 0 && isCold(memory, value, forecast)) return;
  const width = (m[BASE_WIDTH] as number) + (m[WIDTH_FACTOR] as number) * (fromMean * fromMean) * reciprocal;
  writeForecast(m, forecast, slope, Math.max(unexplained, 0), width);
}

function addTo(m: Float64Array, index: number, term: number): number {
  const sum = (m[index] as number) + term;
  m[index] = sum;
  return sum;
}

function writeForecast(m: Float64Array, value: number, slope: number, sse: number, width: number): void {
  m[OUTPUT_VALUE] = value;
  m[OUTPUT_SMOOTHED] = emaStep(m[OUTPUT_SMOOTHED] as number, value, m[EMA_ALPHA] as number);
  m[OUTPUT_SLOPE_PER_SECOND] = slope;
  m[OUTPUT_SUM_SQUARED_RESIDUAL] = sse;
  m[OUTPUT_HALF_WIDTH] = Math.sqrt(sse * width);
}
