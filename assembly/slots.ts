import {
  COLD_HALF_WIDTH,
  EMA_ALPHA,
  EMA_KEPT,
  HORIZON_SECONDS,
  IN_USE,
  MIN_POINTS,
  RING,
  SLOT_BYTES,
  SLOTS_OFFSET,
  WINDOW_POINTS,
} from "./layout";

const PAGE_BYTES: usize = 65536;

let capacity: i32 = 0;

/** Makes room for `seriesCapacity` series, once. Returns false when the memory cannot be had. */
export function reserve(seriesCapacity: i32): bool {
  const bytes = SLOTS_OFFSET + <usize>seriesCapacity * SLOT_BYTES;
  const pages = <i32>((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
  const missing = pages - memory.size();
  if (missing > 0 && memory.grow(missing) < 0) return false;
  capacity = seriesCapacity;
  return true;
}

/** Address of a free slot, now taken and empty, or 0 when every slot is in use. */
export function take(
  windowPoints: i32,
  minPoints: i32,
  emaAlpha: f64,
  coldHalfWidth: f64,
  horizonSeconds: f64,
): usize {
  for (let i = 0; i < capacity; i++) {
    const series = SLOTS_OFFSET + <usize>i * SLOT_BYTES;
    if (load<i32>(series, IN_USE) !== 0) continue;
    memory.fill(series, 0, RING);
    store<i32>(series, 1, IN_USE);
    store<i32>(series, windowPoints, WINDOW_POINTS);
    store<i32>(series, minPoints, MIN_POINTS);
    store<f64>(series, emaAlpha, EMA_ALPHA);
    store<f64>(series, 1.0 - emaAlpha, EMA_KEPT);
    store<f64>(series, coldHalfWidth, COLD_HALF_WIDTH);
    store<f64>(series, horizonSeconds, HORIZON_SECONDS);
    return series;
  }
  return 0;
}

/** Gives a slot back. */
export function release(series: usize): void {
  store<i32>(series, 0, IN_USE);
}
