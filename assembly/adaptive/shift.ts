/** A step whose cause is known, in the level or in time: what remembers it moves along, as if it had always been so. */
import { at } from "./cells";
import {
  AVERAGE,
  AVERAGES,
  DAY_BINS,
  DAY_PROFILE,
  EXPERTS,
  FIRST_SECONDS,
  HOUR_BINS,
  HOUR_PROFILE,
  LAST_SECONDS,
  LAST_VALUE,
  LONG_WINDOW,
  MEDIAN_LONG,
  MEDIAN_SHORT,
  PENDING,
  PENDING_CAPACITY,
  PENDING_COUNT,
  PENDING_EXPERTS,
  PENDING_FIELDS,
  PENDING_FIRST,
  PENDING_ORIGIN,
  PENDING_SPREAD_ABOVE,
  PENDING_TARGET,
  SHORT_WINDOW,
  SORTED_HEADER,
  TAKEN,
  TAKEN_SECONDS,
  TIME_RING,
  WEEK_BINS,
  WEEK_PROFILE,
} from "./layout";
import { shiftProfile } from "./profile";
import { sortedCount } from "./sorted-window";

/** Adds `step` to every level. */
export function shiftLevel(cells: Float64Array, step: f64): void {
  add(cells, AVERAGE, AVERAGES, step);
  shiftWindow(cells, SHORT_WINDOW, MEDIAN_SHORT, step);
  shiftWindow(cells, LONG_WINDOW, MEDIAN_LONG, step);
  shiftProfile(cells, HOUR_PROFILE, HOUR_BINS, step);
  shiftProfile(cells, DAY_PROFILE, DAY_BINS, step);
  shiftProfile(cells, WEEK_PROFILE, WEEK_BINS, step);
  const count = <i32>at(cells, PENDING_COUNT);
  let place = <i32>at(cells, PENDING_FIRST);
  for (let i = 0; i < count; i++) {
    const row = PENDING + place * PENDING_FIELDS;
    add(cells, row + PENDING_ORIGIN, PENDING_SPREAD_ABOVE - PENDING_ORIGIN, step);
    add(cells, row + PENDING_EXPERTS, EXPERTS, step);
    place = place + 1 === PENDING_CAPACITY ? 0 : place + 1;
  }
  cells[TAKEN] = at(cells, TAKEN) + step;
  cells[LAST_VALUE] = at(cells, LAST_VALUE) + step;
}

/** Adds `seconds` to every time, but for the phases of the profiles, which follow the clock as it is now. */
export function shiftTimes(cells: Float64Array, seconds: f64): void {
  add(cells, FIRST_SECONDS, 1, seconds);
  add(cells, LAST_SECONDS, 1, seconds);
  add(cells, TAKEN_SECONDS, 1, seconds);
  add(cells, TIME_RING, sortedCount(cells, SHORT_WINDOW), seconds);
  const count = <i32>at(cells, PENDING_COUNT);
  let place = <i32>at(cells, PENDING_FIRST);
  for (let i = 0; i < count; i++) {
    add(cells, PENDING + place * PENDING_FIELDS + PENDING_TARGET, 1, seconds);
    place = place + 1 === PENDING_CAPACITY ? 0 : place + 1;
  }
}

function shiftWindow(cells: Float64Array, window: i32, capacity: i32, step: f64): void {
  const count = sortedCount(cells, window);
  add(cells, window + SORTED_HEADER, count, step);
  add(cells, window + SORTED_HEADER + capacity, count, step);
}

function add(cells: Float64Array, from: i32, count: i32, step: f64): void {
  for (let i = 0; i < count; i++) cells[from + i] = at(cells, from + i) + step;
}
