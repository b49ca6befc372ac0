/** The adaptive forecaster's ABI: one forecaster in each instance of the module. */
import { moveClock, push, shift, start } from "./forecaster";
import { CELLS, LAYOUT_VERSION } from "./layout";
import { measureTrend } from "./trend";

const cells = new Float64Array(CELLS);

/** Where the forecaster's memory begins, in bytes. */
export function cellsOffset(): usize {
  return cells.dataStart;
}

export function cellCount(): i32 {
  return CELLS;
}

export function layoutVersion(): i32 {
  return LAYOUT_VERSION;
}

/** Forgets everything but the options. */
export function startForecaster(): void {
  start(cells);
}

/** 0 accepted, 1 not finite, 2 repeated, 3 backward. */
export function pushPoint(tSeconds: f64, value: f64, line: f64): i32 {
  return push(cells, tSeconds, value, line);
}

/** Moves every level by a step whose cause is known. */
export function shiftLevel(step: f64): void {
  shift(cells, step);
}

/** The clock was set: moves every time by `seconds`. */
export function shiftTimes(seconds: f64): void {
  moveClock(cells, seconds);
}

/** Brings the trend in the outputs up to date. */
export function updateTrend(): void {
  measureTrend(cells);
}
