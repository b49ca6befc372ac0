/** The interval before there are enough points for a line; `src/forecast/cold-interval.ts` explains it. */
import { COLD_HALF_WIDTH, HORIZON_SECONDS, OLDEST, POINTS, TIMES, VALUES, WINDOW_POINTS } from "./layout";
import { next } from "./ring";
import { studentT975 } from "./student-t";

const FEWEST_POINTS: i32 = 3;
const WIDENING: f64 = 2;
const FLOOR_RATIO: f64 = 0.01;

/** Half-width of the interval about the last value, `HORIZON_SECONDS` ahead. */
export function coldHalfWidth(series: usize): f64 {
  const widest = load<f64>(series, COLD_HALF_WIDTH);
  const points = load<i32>(series, POINTS);
  if (points < FEWEST_POINTS) return widest;
  const capacity = load<i32>(series, WINDOW_POINTS);
  let from = series + ((<usize>load<i32>(series, OLDEST)) << 3);
  let sum: f64 = 0;
  for (
    let i = 1, index = next(load<i32>(series, OLDEST), capacity);
    i < points;
    i++, index = next(index, capacity)
  ) {
    const to = series + ((<usize>index) << 3);
    const increment = load<f64>(to, VALUES) - load<f64>(from, VALUES);
    sum += (increment * increment) / (load<f64>(to, TIMES) - load<f64>(from, TIMES));
    from = to;
  }
  const increments = points - 1;
  const deviation = sqrt((sum / <f64>increments) * load<f64>(series, HORIZON_SECONDS));
  const halfWidth = WIDENING * studentT975(increments) * deviation;
  return max(halfWidth, FLOOR_RATIO * widest);
}
