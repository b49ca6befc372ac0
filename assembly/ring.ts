import { OLDEST, POINTS, TIMES, VALUES, WINDOW_POINTS } from "./layout";

/** Forgets every point. */
export function clear(series: usize): void {
  store<i32>(series, 0, OLDEST);
  store<i32>(series, 0, POINTS);
}

/** Adds a point; in a full window it takes the place of the oldest. */
export function append(series: usize, tSeconds: f64, value: f64): void {
  const capacity = load<i32>(series, WINDOW_POINTS);
  const oldest = load<i32>(series, OLDEST);
  const points = load<i32>(series, POINTS);
  let index = oldest + points;
  if (index >= capacity) index -= capacity;
  const point = series + ((<usize>index) << 3);
  store<f64>(point, tSeconds, TIMES);
  store<f64>(point, value, VALUES);
  if (points < capacity) store<i32>(series, points + 1, POINTS);
  else store<i32>(series, oldest + 1 === capacity ? 0 : oldest + 1, OLDEST);
}

/** Address of the newest point, for `TIMES` and `VALUES`. The window must not be empty. */
export function newest(series: usize): usize {
  const capacity = load<i32>(series, WINDOW_POINTS);
  let index = load<i32>(series, OLDEST) + load<i32>(series, POINTS) - 1;
  if (index >= capacity) index -= capacity;
  return series + ((<usize>index) << 3);
}

/** Index in the ring after `index`. */
export function next(index: i32, capacity: i32): i32 {
  return index + 1 === capacity ? 0 : index + 1;
}
