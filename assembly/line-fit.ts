/** The step of a series and the line through its window; `src/forecast/line-fit.ts` derives the formulas. */
import { emaStep } from "./ema";
import {
  BASE_WIDTH,
  EMA_ALPHA,
  HORIZON_SECONDS,
  INVERSE_POINTS,
  NEXT,
  OUTPUT_HALF_WIDTH,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_SUM_SQUARED_RESIDUAL,
  OUTPUT_VALUE,
  POINT_BYTES,
  RECENT,
  SUFFIX,
  SUMS_FIRST,
  SUMS_ORIGIN,
  SUMS_SLOPE,
  SUMS_SQUARED,
  SUMS_TIME,
  WIDTH_FACTOR,
} from "./layout";
import { LineSums } from "./line-sums";
import { isCold } from "./window-fill";

/** How much wider the spread about the reference slope may be before that about none is taken. */
const PREFERENCE: f64 = 4;

export class LineFit {
  /** Puts a point in its place, fits the window, and writes the forecast. `special`: it may be cold, or the first. */
  @inline static step(series: usize, place: usize, tSeconds: f64, value: f64, special: bool): void {
    const point = f64x2.replace_lane(f64x2.splat(tSeconds), 1, value);
    const restFirst = v128.load(place, SUFFIX + SUMS_FIRST);
    const restTime = v128.load(place, SUFFIX + SUMS_TIME);
    const restSquared = v128.load(place, SUFFIX + SUMS_SQUARED);
    v128.store(place, point);
    store<i32>(series, <i32>place + POINT_BYTES, NEXT);
    const recent = series + RECENT;
    const uv = f64x2.sub(point, v128.load(recent, SUMS_ORIGIN));
    const u = f64x2.splat(f64x2.extract_lane(uv, 0));
    const slope = v128.load(recent, SUMS_SLOPE);
    const rv = LineSums.residuals(uv, slope);
    const first = f64x2.add(v128.load(recent, SUMS_FIRST), uv);
    const time = f64x2.add(v128.load(recent, SUMS_TIME), f64x2.mul(u, uv));
    const squared = f64x2.add(v128.load(recent, SUMS_SQUARED), f64x2.mul(rv, rv));
    v128.store(recent, first, SUMS_FIRST);
    v128.store(recent, time, SUMS_TIME);
    v128.store(recent, squared, SUMS_SQUARED);
    LineFit.fit(
      series,
      f64x2.add(first, restFirst),
      f64x2.add(time, restTime),
      f64x2.add(squared, restSquared),
      slope,
      f64x2.extract_lane(uv, 0),
      special,
      value,
    );
    LineSums.turn(series, place, point);
  }

  /** Fits the window of these sums, whose newest point is (`last`, at `u` seconds from their origin). */
  @inline static fit(
    series: usize,
    first: v128,
    time: v128,
    squared: v128,
    aboutSlope: v128,
    u: f64,
    special: bool,
    last: f64,
  ): void {
    const inverse = f64x2.splat(load<f64>(series, INVERSE_POINTS));
    const means = f64x2.mul(first, inverse);
    const sumTime = f64x2.splat(f64x2.extract_lane(first, 0));
    const centred = f64x2.sub(time, f64x2.mul(sumTime, means));
    const sxx = f64x2.splat(f64x2.extract_lane(centred, 0));
    const sxy = f64x2.splat(f64x2.extract_lane(centred, 1));
    const reciprocal = f64x2.div(f64x2.splat(1), sxx);
    const sse = LineFit.unexplained(first, sumTime, squared, aboutSlope, inverse, sxx, sxy, reciprocal);
    const inverseSxx = f64x2.extract_lane(reciprocal, 0);
    const slope = f64x2.extract_lane(sxy, 0) * inverseSxx;
    const fromMean = u - f64x2.extract_lane(means, 0) + load<f64>(series, HORIZON_SECONDS);
    const width =
      load<f64>(series, BASE_WIDTH) + load<f64>(series, WIDTH_FACTOR) * (fromMean * fromMean) * inverseSxx;
    const value =
      load<f64>(series, RECENT + SUMS_ORIGIN + 8) + (f64x2.extract_lane(means, 1) + slope * fromMean);
    if (special && isCold(series, last, value)) return;
    const smoothed = emaStep(load<f64>(series, OUTPUT_SMOOTHED), value, load<f64>(series, EMA_ALPHA));
    store<f64>(series, value, OUTPUT_VALUE);
    store<f64>(series, smoothed, OUTPUT_SMOOTHED);
    store<f64>(series, slope, OUTPUT_SLOPE_PER_SECOND);
    store<f64>(series, sse, OUTPUT_SUM_SQUARED_RESIDUAL);
    store<f64>(series, sqrt(sse * width), OUTPUT_HALF_WIDTH);
  }

  /** The sum of squared residuals, from the smaller of the spreads about the reference slope and about none. */
  @inline static unexplained(
    first: v128,
    sumTime: v128,
    squared: v128,
    aboutSlope: v128,
    inverse: v128,
    sxx: v128,
    sxy: v128,
    reciprocal: v128,
  ): f64 {
    // (sum r, sum v), the centred (sum r², sum v²), (Sxr, Sxy), and what the line leaves of each spread.
    const sums = f64x2.sub(f64x2.splat(f64x2.extract_lane(first, 1)), f64x2.mul(aboutSlope, sumTime));
    const spread = f64x2.sub(squared, f64x2.mul(f64x2.mul(sums, sums), inverse));
    const across = f64x2.sub(sxy, f64x2.mul(aboutSlope, sxx));
    const rest = f64x2.sub(spread, f64x2.mul(across, f64x2.mul(across, reciprocal)));
    const aboutReference = f64x2.extract_lane(spread, 0) < PREFERENCE * f64x2.extract_lane(spread, 1);
    const bounded = f64x2.pmax(f64x2.splat(0), rest);
    return aboutReference ? f64x2.extract_lane(bounded, 0) : f64x2.extract_lane(bounded, 1);
  }
}
