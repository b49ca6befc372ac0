/**
 * The least-squares line from the sums of a window. With n points, u = t - T, v = y - Y and a dash for a mean:
 *
 *     Sxx = sum u² - u' sum u      Sxy = sum uv - v' sum u      slope = Sxy / Sxx
 *
 * The sum of squared residuals is a spread less what the slope explains of it: Syy - slope² Sxx, or, about a reference
 * slope b, Srr - (slope - b)² Sxx. Both are exact in theory; the one with the smaller spread cancels less, so that a
 * steep straight line keeps the digits of its residuals, and so does a flat stretch after one.
 *
 * The 95 % prediction interval of one new value at t0 is value ± t(0.975, n - 2) sqrt(s² (1 + 1/n + (t0 - t')² / Sxx))
 * with s² = SSE / (n - 2). `assembly/line-fit.ts` does the same operations in the same order: change both or neither.
 */
import { emaStep } from "./ema.ts";
import {
  BASE_LEVERAGE,
  EMA_ALPHA,
  HORIZON_SECONDS,
  INVERSE_FREEDOM,
  INVERSE_POINTS,
  NEXT_SLOPE,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  OUTPUT_HALF_WIDTH,
  OUTPUT_RESIDUAL_VARIANCE,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  QUANTILE,
  RECENT,
  SLOPE,
  STATE_READY,
  SUM_RESIDUAL_SQUARED,
  SUM_TIME,
  SUM_TIME_TIME,
  SUM_TIME_VALUE,
  SUM_VALUE,
  SUM_VALUE_SQUARED,
} from "./series-layout.ts";

/** Fits the window whose sums are `RECENT` and those at `suffix`, and writes the forecast made at `tSeconds`. */
export function forecastLine(m: Float64Array, suffix: number, tSeconds: number): void {
  const sumTime = (m[RECENT + SUM_TIME] as number) + (m[suffix + SUM_TIME] as number);
  const sumValue = (m[RECENT + SUM_VALUE] as number) + (m[suffix + SUM_VALUE] as number);
  const timeTime = (m[RECENT + SUM_TIME_TIME] as number) + (m[suffix + SUM_TIME_TIME] as number);
  const timeValue = (m[RECENT + SUM_TIME_VALUE] as number) + (m[suffix + SUM_TIME_VALUE] as number);
  const residuals =
    (m[RECENT + SUM_RESIDUAL_SQUARED] as number) + (m[suffix + SUM_RESIDUAL_SQUARED] as number);
  const squares = (m[RECENT + SUM_VALUE_SQUARED] as number) + (m[suffix + SUM_VALUE_SQUARED] as number);
  const aboutSlope = m[RECENT + SLOPE] as number;
  const inverse = m[INVERSE_POINTS] as number;
  const meanTime = sumTime * inverse;
  const meanValue = sumValue * inverse;
  const sxx = timeTime - sumTime * meanTime;
  const reciprocal = 1 / sxx;
  const slope = (timeValue - sumTime * meanValue) * reciprocal;
  const sumResidual = sumValue - aboutSlope * sumTime;
  const residualSpread = residuals - sumResidual * sumResidual * inverse;
  const valueSpread = squares - sumValue * sumValue * inverse;
  const beyond = slope - aboutSlope;
  const sse =
    residualSpread < valueSpread ? residualSpread - beyond * beyond * sxx : valueSpread - slope * slope * sxx;
  const variance = Math.max(sse, 0) * (m[INVERSE_FREEDOM] as number);
  const fromMean = tSeconds - (m[RECENT + ORIGIN_TIME] as number) - meanTime + (m[HORIZON_SECONDS] as number);
  const leverage = (m[BASE_LEVERAGE] as number) + fromMean * fromMean * reciprocal;
  const value = (m[RECENT + ORIGIN_VALUE] as number) + (meanValue + slope * fromMean);
  const halfWidth = (m[QUANTILE] as number) * Math.sqrt(variance * leverage);
  writeForecast(m, value, halfWidth, slope, variance);
}

function writeForecast(
  m: Float64Array,
  value: number,
  halfWidth: number,
  slope: number,
  variance: number,
): void {
  m[OUTPUT_SMOOTHED] =
    m[OUTPUT_STATE] === STATE_READY
      ? emaStep(m[OUTPUT_SMOOTHED] as number, value, m[EMA_ALPHA] as number)
      : value;
  m[OUTPUT_STATE] = STATE_READY;
  m[OUTPUT_VALUE] = value;
  m[OUTPUT_HALF_WIDTH] = halfWidth;
  m[OUTPUT_SLOPE_PER_SECOND] = slope;
  m[OUTPUT_RESIDUAL_VARIANCE] = variance;
  m[NEXT_SLOPE] = slope;
}
