/**
 * The kernel's ABI. A series is the address of its slot. The host calls `initialize` once, writes the Student-t table
 * at `studentTOffset()`, and only then takes its long-lived views of the memory.
 */
import { reserveBatch, tick } from "./batch";
import { ABI_VERSION, OUTPUTS, STUDENT_T_OFFSET } from "./layout";
import { reset } from "./series";
import { release, reserve, take } from "./slots";

/** (series, tSeconds, value): 0 accepted, 1 not finite, 2 repeated, 3 backward. Exported as it is: a call costs 1 ns. */
export { push as pushPoint } from "./series";

/** Raised with every change to this file's signatures or to the order of the outputs. */
export function abiVersion(): i32 {
  return ABI_VERSION;
}

/** Reserves memory for `seriesCapacity` series; 0 when it cannot be had. */
export function initialize(seriesCapacity: i32): i32 {
  return reserve(seriesCapacity) ? 1 : 0;
}

/** Where the host writes the 0.975 quantiles for 1..1022 degrees of freedom, as f64. */
export function studentTOffset(): usize {
  return STUDENT_T_OFFSET;
}

/** Address of a new, empty series, or 0 when every slot is taken. */
export function createSeries(
  windowPoints: i32,
  minPoints: i32,
  emaAlpha: f64,
  coldHalfWidth: f64,
  horizonSeconds: f64,
): usize {
  return take(windowPoints, minPoints, emaAlpha, coldHalfWidth, horizonSeconds);
}

/** Address of the series' outputs, f64[11]. */
export function outputsOffset(series: usize): usize {
  return series + OUTPUTS;
}

/** Forgets the window and the average, keeps the counts of refusals. */
export function resetSeries(series: usize): void {
  reset(series);
}

/** Gives the slot back; the address must not be used again. */
export function disposeSeries(series: usize): void {
  release(series);
}

/** Reserves the memory of a batch, which has an instance of its own; 0 when it cannot be had. */
export function initializeBatch(bytes: usize): i32 {
  return reserveBatch(bytes) ? 1 : 0;
}

/** One tick of the batch; answers how many blocks are marked. */
export function tickBatch(): i32 {
  return tick();
}
