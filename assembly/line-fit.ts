/** The fitted line from the sums of a window; `src/forecast/line-fit.ts` derives the formulas. */
import { emaStep } from "./ema";
import {
  BASE_LEVERAGE,
  EMA_ALPHA,
  HORIZON_SECONDS,
  INVERSE_FREEDOM,
  INVERSE_POINTS,
  NEXT_SLOPE,
  OUTPUT_HALF_WIDTH,
  OUTPUT_RESIDUAL_VARIANCE,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  QUANTILE,
  RECENT,
  STATE_READY,
  SUMS_FIRST,
  SUMS_ORIGIN,
  SUMS_SLOPE,
  SUMS_SQUARED,
  SUMS_TIME,
} from "./layout";

export class LineFit {
  /** Fits the window whose sums are `RECENT` and those at `suffix`, and writes the forecast. */
  @inline static forecast(series: usize, suffix: usize, tSeconds: f64): void {
    const recent = series + RECENT;
    const first = f64x2.add(v128.load(recent, SUMS_FIRST), v128.load(suffix, SUMS_FIRST));
    const time = f64x2.add(v128.load(recent, SUMS_TIME), v128.load(suffix, SUMS_TIME));
    const squared = f64x2.add(v128.load(recent, SUMS_SQUARED), v128.load(suffix, SUMS_SQUARED));
    const aboutSlope = v128.load(recent, SUMS_SLOPE);
    const inverse = f64x2.splat(load<f64>(series, INVERSE_POINTS));
    const means = f64x2.mul(first, inverse);
    const sumTime = f64x2.splat(f64x2.extract_lane(first, 0));
    const centred = f64x2.sub(time, f64x2.mul(sumTime, means));
    const sxx = f64x2.extract_lane(centred, 0);
    const reciprocal = 1.0 / sxx;
    const slope = f64x2.extract_lane(centred, 1) * reciprocal;
    // (sum r, sum v), then the centred (sum r², sum v²), less what the slope explains of each.
    const sumsRv = f64x2.sub(f64x2.splat(f64x2.extract_lane(first, 1)), f64x2.mul(aboutSlope, sumTime));
    const spread = f64x2.sub(squared, f64x2.mul(f64x2.mul(sumsRv, sumsRv), inverse));
    const beyond = f64x2.sub(f64x2.splat(slope), aboutSlope);
    const rest = f64x2.sub(spread, f64x2.mul(f64x2.mul(beyond, beyond), f64x2.splat(sxx)));
    const useResiduals = f64x2.extract_lane(spread, 0) < f64x2.extract_lane(spread, 1);
    const sse = useResiduals ? f64x2.extract_lane(rest, 0) : f64x2.extract_lane(rest, 1);
    const variance = (sse > 0 ? sse : 0) * load<f64>(series, INVERSE_FREEDOM);
    const fromMean =
      tSeconds -
      load<f64>(recent, SUMS_ORIGIN) -
      f64x2.extract_lane(means, 0) +
      load<f64>(series, HORIZON_SECONDS);
    const leverage = load<f64>(series, BASE_LEVERAGE) + fromMean * fromMean * reciprocal;
    const value = load<f64>(recent, SUMS_ORIGIN + 8) + (f64x2.extract_lane(means, 1) + slope * fromMean);
    LineFit.write(series, value, load<f64>(series, QUANTILE) * sqrt(variance * leverage), slope, variance);
  }

  @inline static write(series: usize, value: f64, halfWidth: f64, slope: f64, variance: f64): void {
    const smoothed =
      load<f64>(series, OUTPUT_STATE) === STATE_READY
        ? emaStep(load<f64>(series, OUTPUT_SMOOTHED), value, load<f64>(series, EMA_ALPHA))
        : value;
    store<f64>(series, STATE_READY, OUTPUT_STATE);
    store<f64>(series, value, OUTPUT_VALUE);
    store<f64>(series, smoothed, OUTPUT_SMOOTHED);
    store<f64>(series, halfWidth, OUTPUT_HALF_WIDTH);
    store<f64>(series, slope, OUTPUT_SLOPE_PER_SECOND);
    store<f64>(series, variance, OUTPUT_RESIDUAL_VARIANCE);
    store<f64>(series, slope, NEXT_SLOPE);
  }
}
