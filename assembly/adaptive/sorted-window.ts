/** The last values of something, kept in order: a ring for their age beside a sorted array for their ranks. */
import { at } from "./cells";
import { SORTED_HEADER } from "./layout";

const COUNT: i32 = 0;
const OLDEST: i32 = 1;

export function sortedCount(cells: Float64Array, window: i32): i32 {
  return <i32>at(cells, window + COUNT);
}

/** Where in the ring the oldest value lies; the others follow it, and those at the ring's beginning follow its end. */
export function ringStart(cells: Float64Array, window: i32): i32 {
  return <i32>at(cells, window + OLDEST);
}

/** Where in the ring the next value will lie. */
export function ringNext(cells: Float64Array, window: i32, capacity: i32): i32 {
  const count = sortedCount(cells, window);
  return count < capacity ? count : ringStart(cells, window);
}

/** Takes `value`; the oldest leaves a window that holds `capacity` already. */
export function pushSorted(cells: Float64Array, window: i32, capacity: i32, value: f64): void {
  const count = <i32>at(cells, window + COUNT);
  const ring = window + SORTED_HEADER;
  const sorted = ring + capacity;
  if (count < capacity) {
    cells[ring + count] = value;
    cells[window + COUNT] = <f64>(count + 1);
    const place = rank(cells, sorted, count, value);
    cells.copyWithin(place + 1, place, sorted + count);
    cells[place] = value;
    return;
  }
  const oldest = <i32>at(cells, window + OLDEST);
  const from = rank(cells, sorted, count, at(cells, ring + oldest));
  const to = rank(cells, sorted, count, value);
  cells[ring + oldest] = value;
  cells[window + OLDEST] = <f64>(oldest + 1 === capacity ? 0 : oldest + 1);
  if (to > from) {
    cells.copyWithin(from, from + 1, to);
    cells[to - 1] = value;
  } else {
    cells.copyWithin(to + 1, to, from);
    cells[to] = value;
  }
}

/** The middle value; the upper one of two. 0 in an empty window. */
export function median(cells: Float64Array, window: i32, capacity: i32): f64 {
  const count = <i32>at(cells, window + COUNT);
  return at(cells, window + SORTED_HEADER + capacity + (count >> 1));
}

/** From the least to the largest value. */
export function spanOf(cells: Float64Array, window: i32, capacity: i32): f64 {
  const sorted = window + SORTED_HEADER + capacity;
  return at(cells, sorted + <i32>at(cells, window + COUNT) - 1) - at(cells, sorted);
}

/**
 * The value at `share` (0..1) of the ranks, between two neighbours in proportion. Beyond the largest it goes on by
 * `beyond` of it at most: the miscoverage asked for may be smaller than 1 / count.
 */
export function quantile(cells: Float64Array, window: i32, capacity: i32, share: f64, beyond: f64): f64 {
  const count = <i32>at(cells, window + COUNT);
  const sorted = window + SORTED_HEADER + capacity;
  const place = share * <f64>(count + 1) - 1;
  if (place <= 0) return at(cells, sorted);
  const last = <f64>(count - 1);
  if (place >= last) {
    const largest = at(cells, sorted + count - 1);
    return largest + Math.abs(largest) * Math.min(beyond, 0.5 * (place - last));
  }
  const below = Math.floor(place);
  const lower = at(cells, sorted + <i32>below);
  return lower + (place - below) * (at(cells, sorted + <i32>below + 1) - lower);
}

/** Address of the first of `count` sorted values that is not below `value`. */
function rank(cells: Float64Array, sorted: i32, count: i32, value: f64): i32 {
  let low = sorted;
  let high = sorted + count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(cells, middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
