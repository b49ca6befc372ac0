import { at } from "./cells";
import { HORIZON_SECONDS, TAKEN_PER_HORIZON, TYPICAL_STEP } from "./layout";

/** How many horizons overlap: their outcomes are one experience, so that each counts the less, the more there are. */
export function overlap(cells: Float64Array): f64 {
  const horizon = at(cells, HORIZON_SECONDS);
  const step = Math.max(at(cells, TYPICAL_STEP), horizon / TAKEN_PER_HORIZON);
  return Math.max(1, horizon / step);
}

/** Rates are for five outcomes a horizon or fewer: with more of them each moves that much less, down from 1. */
export function pace(cells: Float64Array): f64 {
  return Math.min(1, 5.0 / overlap(cells));
}
