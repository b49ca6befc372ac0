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
  OUTPUT_INTERVAL,
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
  WHOLE,
  WHOLE_NEWEST,
  WIDTH_FACTOR,
} from "./series-layout.ts";
import { isCold } from "./window-fill.ts";

/** How much wider the spread about the reference slope may be before that about none is taken. */
const preference = 4;

/** Puts a point in its place, fits the window, and writes the forecast. */
export function stepLine(memory: SeriesMemory, place: number, tSeconds: number, value: number): void {
  const { doubles: m, counters } = memory;
  sumWindow(m, place + POINT_SUFFIX, tSeconds, value);
  m[place] = tSeconds;
  m[place + 1] = value;
  counters[NEXT] = place + POINT_FIELDS;
  turn(m, counters[MIRROR] as number, place, tSeconds, value);
  fitWindow(memory, value);
}

/** Adds the point to `RECENT`, and that to the suffix at `rest`: the sums of the whole window. */
function sumWindow(m: Float64Array, rest: number, tSeconds: number, value: number): void {
  const u = tSeconds - (m[RECENT + ORIGIN_TIME] as number);
  const v = value - (m[RECENT + ORIGIN_VALUE] as number);
  const r = v - (m[RECENT + SLOPE] as number) * u;
  const time = (m[RECENT + SUM_TIME] as number) + u;
  const sum = (m[RECENT + SUM_VALUE] as number) + v;
  const timeTime = (m[RECENT + SUM_TIME_TIME] as number) + u * u;
  const timeValue = (m[RECENT + SUM_TIME_VALUE] as number) + u * v;
  const residuals = (m[RECENT + SUM_RESIDUAL_SQUARED] as number) + r * r;
  const squares = (m[RECENT + SUM_VALUE_SQUARED] as number) + v * v;
  m[RECENT + SUM_TIME] = time;
  m[RECENT + SUM_VALUE] = sum;
  m[RECENT + SUM_TIME_TIME] = timeTime;
  m[RECENT + SUM_TIME_VALUE] = timeValue;
  m[RECENT + SUM_RESIDUAL_SQUARED] = residuals;
  m[RECENT + SUM_VALUE_SQUARED] = squares;
  m[WHOLE + SUM_TIME] = time + (m[rest + SUM_TIME] as number);
  m[WHOLE + SUM_VALUE] = sum + (m[rest + SUM_VALUE] as number);
  m[WHOLE + SUM_TIME_TIME] = timeTime + (m[rest + SUM_TIME_TIME] as number);
  m[WHOLE + SUM_TIME_VALUE] = timeValue + (m[rest + SUM_TIME_VALUE] as number);
  m[WHOLE + SUM_RESIDUAL_SQUARED] = residuals + (m[rest + SUM_RESIDUAL_SQUARED] as number);
  m[WHOLE + SUM_VALUE_SQUARED] = squares + (m[rest + SUM_VALUE_SQUARED] as number);
  m[WHOLE_NEWEST] = u;
}

function fitWindow(memory: SeriesMemory, last: number): void {
  const { doubles: m, counters } = memory;
  const about = m[RECENT + SLOPE] as number;
  const sumTime = m[WHOLE + SUM_TIME] as number;
  const sumValue = m[WHOLE + SUM_VALUE] as number;
  const inverse = m[INVERSE_POINTS] as number;
  const meanTime = sumTime * inverse;
  const meanValue = sumValue * inverse;
  const sxx = (m[WHOLE + SUM_TIME_TIME] as number) - sumTime * meanTime;
  const sxy = (m[WHOLE + SUM_TIME_VALUE] as number) - sumTime * meanValue;
  const reciprocal = 1 / sxx;
  const slope = sxy * reciprocal;
  const sumResidual = sumValue - about * sumTime;
  const residualSpread = (m[WHOLE + SUM_RESIDUAL_SQUARED] as number) - sumResidual * sumResidual * inverse;
  const valueSpread = (m[WHOLE + SUM_VALUE_SQUARED] as number) - sumValue * meanValue;
  const sxr = sxy - about * sxx;
  const aboutReference = residualSpread < preference * valueSpread;
  const unexplained = aboutReference
    ? residualSpread - sxr * (sxr * reciprocal)
    : valueSpread - sxy * (sxy * reciprocal);
  const fromMean = (m[WHOLE_NEWEST] as number) - meanTime + (m[HORIZON_SECONDS] as number);
  const forecast = (m[RECENT + ORIGIN_VALUE] as number) + (meanValue + slope * fromMean);
  if (counters[MODE] !== 0 && isCold(memory, last, forecast)) return;
  const width = (m[BASE_WIDTH] as number) + (m[WIDTH_FACTOR] as number) * (fromMean * fromMean) * reciprocal;
  writeForecast(m, forecast, slope, Math.max(unexplained, 0), width);
}

function writeForecast(m: Float64Array, value: number, slope: number, sse: number, width: number): void {
  m[OUTPUT_VALUE] = value;
  m[OUTPUT_SMOOTHED] = emaStep(m[OUTPUT_SMOOTHED] as number, value, m[EMA_ALPHA] as number);
  m[OUTPUT_SLOPE_PER_SECOND] = slope;
  m[OUTPUT_SUM_SQUARED_RESIDUAL] = sse;
  m[OUTPUT_INTERVAL] = sse * width;
}
