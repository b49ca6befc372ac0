/** Reads and writes of the forecaster's memory. Addresses come from `layout.ts` and are always inside it. */

/** The number at `address`. */
export function at(cells: Float64Array, address: i32): f64 {
  return <f64>cells[address];
}

/** One step of an exponential average at `address` towards `value`. */
export function approach(cells: Float64Array, address: i32, value: f64, rate: f64): void {
  const before = at(cells, address);
  cells[address] = before + rate * (value - before);
}
