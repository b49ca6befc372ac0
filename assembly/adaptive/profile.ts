/** What is usual at a time of the hour, of the day, or of a weekday: a level for each bin, learned visit by visit. */
import { at } from "./cells";
import { PROFILE_HEADER } from "./layout";

/** The bin being filled, counted from 1 so that 0 is none; the sum and the count of its points. */
const BIN: i32 = 0;
const SUM: i32 = 1;
const COUNT: i32 = 2;

/** How far a visit moves the level of its bin. */
const VISIT_RATE: f64 = 0.25;

/** The bin of a time in a period of so many seconds, which is cut into `bins`; exact for whole seconds. */
export function phaseBin(tSeconds: f64, periodSeconds: f64, bins: i32): i32 {
  const inPeriod = tSeconds - periodSeconds * Math.floor(tSeconds / periodSeconds);
  const bin = Math.floor((inPeriod * <f64>bins) / periodSeconds);
  // Just before a period ends, the quotient may be rounded up to its number.
  return bin >= 0 && bin < <f64>bins ? <i32>bin : bins - 1;
}

/** Half hours of a weekday, then those of a weekend day (UTC; the epoch began on a Thursday). */
export function weekBin(tSeconds: f64, bins: i32): i32 {
  const half = bins >> 1;
  const days = Math.floor(tSeconds / 86400.0);
  const weekday = days + 4 - 7 * Math.floor((days + 4) / 7); // 0 Sunday .. 6 Saturday
  const inDay = phaseBin(tSeconds, 86400, half);
  return weekday === 0 || weekday === 6 ? half + inDay : inDay;
}

/** Counts `value` in `bin`; what was counted in the bin before it becomes that one's level. */
export function visit(cells: Float64Array, profile: i32, bins: i32, bin: i32, value: f64): void {
  const filling = <i32>at(cells, profile + BIN) - 1;
  if (filling !== bin) {
    if (filling >= 0) settle(cells, profile, bins, filling);
    cells[profile + BIN] = <f64>(bin + 1);
    cells[profile + SUM] = 0;
    cells[profile + COUNT] = 0;
  }
  cells[profile + SUM] = at(cells, profile + SUM) + value;
  cells[profile + COUNT] = at(cells, profile + COUNT) + 1;
}

/** The level of `bin`, or `otherwise` before its first visit ended. */
export function levelOr(cells: Float64Array, profile: i32, bins: i32, bin: i32, otherwise: f64): f64 {
  const level = profile + PROFILE_HEADER + bin;
  return at(cells, level + bins) === 0 ? otherwise : at(cells, level);
}

/** Adds `step` to every level, and to what is being counted. */
export function shiftProfile(cells: Float64Array, profile: i32, bins: i32, step: f64): void {
  for (let bin = 0; bin < bins; bin++) {
    const level = profile + PROFILE_HEADER + bin;
    cells[level] = at(cells, level) + step;
  }
  cells[profile + SUM] = at(cells, profile + SUM) + step * at(cells, profile + COUNT);
}

function settle(cells: Float64Array, profile: i32, bins: i32, bin: i32): void {
  const mean = at(cells, profile + SUM) / at(cells, profile + COUNT);
  const level = profile + PROFILE_HEADER + bin;
  const known = at(cells, level + bins) !== 0;
  cells[level] = known ? at(cells, level) + VISIT_RATE * (mean - at(cells, level)) : mean;
  cells[level + bins] = 1;
}
