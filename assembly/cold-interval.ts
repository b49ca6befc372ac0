/** The interval before there are enough points for a line; `src/forecast/cold-interval.ts` explains it. */
import { COLD_HALF_WIDTH, COLD_SUM, HORIZON_SECONDS } from "./layout";
import { studentT975 } from "./student-t";

const FEWEST_POINTS: i32 = 3;
const WIDENING: f64 = 2;
const FLOOR_RATIO: f64 = 0.01;

/** Half-width of the interval about the last of `points` values, `HORIZON_SECONDS` ahead. */
export function coldHalfWidth(series: usize, points: i32): f64 {
  const widest = load<f64>(series, COLD_HALF_WIDTH);
  if (points < FEWEST_POINTS) return widest;
  const increments = points - 1;
  const variance = load<f64>(series, COLD_SUM) / <f64>increments;
  const halfWidth = WIDENING * studentT975(increments) * sqrt(variance * load<f64>(series, HORIZON_SECONDS));
  return max(halfWidth, FLOOR_RATIO * widest);
}
