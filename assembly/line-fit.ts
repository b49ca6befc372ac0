/** The step of a series and the line through its window; `src/forecast/line-fit.ts` derives the formulas. */
import {
  BASE_WIDTH,
  EMA_ALPHA,
  EMA_KEPT,
  HORIZON_SECONDS,
  INVERSE_POINTS,
  NEXT,
  ORIGIN_TIME,
  ORIGIN_VALUE,
  OUTPUT_INTERVAL,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_SUM_SQUARED_RESIDUAL,
  OUTPUT_VALUE,
  POINT_BYTES,
  RECENT,
  SLOPE,
  SUFFIX,
  SUFFIX_SQUARED,
  SUFFIX_TIME,
  SUM_RESIDUAL_SQUARED,
  SUM_TIME,
  SUM_TIME_TIME,
  SUM_TIME_VALUE,
  SUM_VALUE,
  SUM_VALUE_SQUARED,
  WIDTH_FACTOR,
} from "./layout";
import { Suffix } from "./line-sums";
import { isCold } from "./window-fill";

/** How much wider the spread about the reference slope may be before that about none is taken. */
const PREFERENCE: f64 = 4;

/** Each method is inlined: a call costs more than it does. */
export class LineFit {
  /**
   * Puts a point in its place, fits the window, and writes the forecast. `special`: it may be cold, or the first. The
   * division begins as early as it can: the processor does the rest meanwhile.
   */
  @inline static step(series: usize, place: usize, tSeconds: f64, last: f64, special: bool): void {
    const times = f64x2.splat(tSeconds);
    const u = f64x2.sub(times, v128.load(series, ORIGIN_TIME));
    const sumTime = LineFit.add(series + SUM_TIME, u) + load<f64>(place, SUFFIX);
    const timeTime = LineFit.add(series + SUM_TIME_TIME, f64x2.mul(u, u)) + load<f64>(place, SUFFIX_TIME);
    const meanTime = sumTime * load<f64>(series, INVERSE_POINTS);
    const sxx = timeTime - sumTime * meanTime;
    const reciprocal = 1.0 / sxx;
    const v = f64x2.sub(f64x2.splat(last), v128.load(series, ORIGIN_VALUE));
    const r = f64x2.sub(v, f64x2.mul(v128.load(series, SLOPE), u));
    const sumValue = LineFit.add(series + SUM_VALUE, v) + load<f64>(place, SUFFIX + 8);
    const timeValue =
      LineFit.add(series + SUM_TIME_VALUE, f64x2.mul(u, v)) + load<f64>(place, SUFFIX_TIME + 8);
    const residuals =
      LineFit.add(series + SUM_RESIDUAL_SQUARED, f64x2.mul(r, r)) + load<f64>(place, SUFFIX_SQUARED);
    const squares =
      LineFit.add(series + SUM_VALUE_SQUARED, f64x2.mul(v, v)) + load<f64>(place, SUFFIX_SQUARED + 8);
    store<usize>(series, place + POINT_BYTES, NEXT);
    v128.store(place, f64x2.replace_lane(times, 1, last));
    Suffix.prepare(series, place);
    const newest = f64x2.extract_lane(u, 0);
    LineFit.write(
      series,
      sumTime,
      sumValue,
      timeValue,
      residuals,
      squares,
      meanTime,
      sxx,
      reciprocal,
      newest,
      special,
      last,
    );
  }

  /** Adds to both sums; answers the recent one. */
  @inline static add(sum: usize, term: v128): f64 {
    const grown = f64x2.add(v128.load(sum), term);
    v128.store(sum, grown);
    return f64x2.extract_lane(grown, 0);
  }

  /** Fits the window of these sums, whose newest point is (`last`, at `newest` seconds from their origin). */
  @inline static write(
    series: usize,
    sumTime: f64,
    sumValue: f64,
    timeValue: f64,
    residuals: f64,
    squares: f64,
    meanTime: f64,
    sxx: f64,
    reciprocal: f64,
    newest: f64,
    special: bool,
    last: f64,
  ): void {
    const about = load<f64>(series, SLOPE + RECENT);
    const inverse = load<f64>(series, INVERSE_POINTS);
    const meanValue = sumValue * inverse;
    const sxy = timeValue - sumTime * meanValue;
    const sumResidual = sumValue - about * sumTime;
    const residualSpread = residuals - sumResidual * sumResidual * inverse;
    const valueSpread = squares - sumValue * meanValue;
    const sxr = sxy - about * sxx;
    const fromMean = newest - meanTime + load<f64>(series, HORIZON_SECONDS);
    const slope = sxy * reciprocal;
    const aboutReference = residualSpread < PREFERENCE * valueSpread;
    const spread = aboutReference ? residualSpread : valueSpread;
    const across = aboutReference ? sxr : sxy;
    const unexplained = spread - across * (across * reciprocal);
    const sse = unexplained > 0 ? unexplained : 0;
    const width =
      load<f64>(series, BASE_WIDTH) + load<f64>(series, WIDTH_FACTOR) * (fromMean * fromMean) * reciprocal;
    const value = load<f64>(series, ORIGIN_VALUE + RECENT) + (meanValue + slope * fromMean);
    if (special && isCold(series, last, value)) return;
    const before = load<f64>(series, EMA_KEPT) * load<f64>(series, OUTPUT_SMOOTHED);
    store<f64>(series, value, OUTPUT_VALUE);
    store<f64>(series, load<f64>(series, EMA_ALPHA) * value + before, OUTPUT_SMOOTHED);
    store<f64>(series, slope, OUTPUT_SLOPE_PER_SECOND);
    store<f64>(series, sse, OUTPUT_SUM_SQUARED_RESIDUAL);
    store<f64>(series, sse * width, OUTPUT_INTERVAL);
  }
}
