/** A spike: more growth within 30 seconds than twice what was usual at most, lately. */
import { at } from "./cells";
import { OUTPUT_RISE, RISE_WINDOW, RISES, SHORT_WINDOW, SORTED_HEADER, TIME_RING } from "./layout";
import { pushSorted, quantile, ringStart, sortedCount } from "./sorted-window";

const WITHIN_SECONDS: f64 = 30;
/** What counts as usual at most: this share of the last rises and falls were smaller. */
const USUAL_SHARE: f64 = 0.975;
const FEWEST_RISES: i32 = 20;
/** A rise by less than this, in the value's unit, is none. */
const LEAST_RISE: f64 = 1;

/** Writes `OUTPUT_RISE` for the newest point, which the short window holds already. */
export function measureRise(cells: Float64Array, tSeconds: f64, value: f64): void {
  cells[OUTPUT_RISE] = 0;
  const count = sortedCount(cells, SHORT_WINDOW);
  if (count < 2) return;
  const start = ringStart(cells, SHORT_WINDOW);
  let place = start === 0 ? count - 1 : start - 1;
  let back = 0;
  // Back to the oldest point within the time, or to the one before where there is none.
  for (let i = 1; i < count; i++) {
    const earlier = place === 0 ? count - 1 : place - 1;
    if (i > 1 && tSeconds - at(cells, TIME_RING + earlier) > WITHIN_SECONDS) break;
    place = earlier;
    back = i;
  }
  if (back === 0) return;
  const passed = tSeconds - at(cells, TIME_RING + place);
  const change = value - at(cells, SHORT_WINDOW + SORTED_HEADER + place);
  const rise = passed > WITHIN_SECONDS ? (change * WITHIN_SECONDS) / passed : change;
  if (sortedCount(cells, RISE_WINDOW) >= FEWEST_RISES && change >= LEAST_RISE)
    cells[OUTPUT_RISE] = rise / (quantile(cells, RISE_WINDOW, RISES, USUAL_SHARE, 0) + 1e-9);
  pushSorted(cells, RISE_WINDOW, RISES, Math.abs(rise));
}
