/**
 * Ordinary least squares over a window, refitted from its points. `src/forecast/ols.ts` does the same operations in
 * the same order: change both or neither.
 */
import { OLDEST, POINTS, TIMES, VALUES, WINDOW_POINTS } from "./layout";
import { next } from "./ring";

/** The result of the last `fitLine`; times are relative to `originSeconds`, values to `originValue`. */
export let originSeconds: f64 = 0;
export let originValue: f64 = 0;
export let meanTime: f64 = 0;
export let meanValue: f64 = 0;
export let slopePerSecond: f64 = 0;
export let sumSquaredTime: f64 = 0;
export let sumSquaredResidual: f64 = 0;

/** Fits the line through the window's points. A window of one point gets a flat line. */
export function fitLine(series: usize): void {
  const oldest = load<i32>(series, OLDEST);
  const points = load<i32>(series, POINTS);
  const capacity = load<i32>(series, WINDOW_POINTS);
  centre(series, oldest, points, capacity);
  const t0 = originSeconds;
  const y0 = originValue;
  const tMean = meanTime;
  const yMean = meanValue;
  let sxx: f64 = 0;
  let sxy: f64 = 0;
  for (let i = 0, index = oldest; i < points; i++, index = next(index, capacity)) {
    const point = series + ((<usize>index) << 3);
    const dt = load<f64>(point, TIMES) - t0 - tMean;
    const dy = load<f64>(point, VALUES) - y0 - yMean;
    sxx += dt * dt;
    sxy += dt * dy;
  }
  const slope = sxx > 0 ? sxy / sxx : 0;
  let sse: f64 = 0;
  for (let i = 0, index = oldest; i < points; i++, index = next(index, capacity)) {
    const point = series + ((<usize>index) << 3);
    const dt = load<f64>(point, TIMES) - t0 - tMean;
    const dy = load<f64>(point, VALUES) - y0 - yMean;
    const residual = dy - slope * dt;
    sse += residual * residual;
  }
  slopePerSecond = slope;
  sumSquaredTime = sxx;
  sumSquaredResidual = sse;
}

function centre(series: usize, oldest: i32, points: i32, capacity: i32): void {
  const first = series + ((<usize>oldest) << 3);
  const t0 = load<f64>(first, TIMES);
  const y0 = load<f64>(first, VALUES);
  let sumTime: f64 = 0;
  let sumValue: f64 = 0;
  for (let i = 0, index = oldest; i < points; i++, index = next(index, capacity)) {
    const point = series + ((<usize>index) << 3);
    sumTime += load<f64>(point, TIMES) - t0;
    sumValue += load<f64>(point, VALUES) - y0;
  }
  originSeconds = t0;
  originValue = y0;
  meanTime = sumTime / <f64>points;
  meanValue = sumValue / <f64>points;
}
