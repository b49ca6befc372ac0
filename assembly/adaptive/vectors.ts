/**
 * Loops over stretches of an even number of cells, two at a time: the only code here that is written twice, once in
 * vectors for WASM and once in pairs for JavaScript, with the same operations in the same order.
 */
import { at } from "./cells";
import { GAIN } from "./layout";

/** `ASC_TARGET` when this runs as JavaScript. */
const JAVASCRIPT: i32 = 0;

/** The sum of the products of two stretches: that of the even places plus that of the odd ones. */
export function dot(cells: Float64Array, one: i32, other: i32, n: i32): f64 {
  if (ASC_TARGET === JAVASCRIPT) {
    let even: f64 = 0;
    let odd: f64 = 0;
    for (let i = 0; i < n; i += 2) {
      even += at(cells, one + i) * at(cells, other + i);
      odd += at(cells, one + i + 1) * at(cells, other + i + 1);
    }
    return even + odd;
  }
  let sums = f64x2.splat(0);
  let a = cells.dataStart + ((<usize>one) << 3);
  let b = cells.dataStart + ((<usize>other) << 3);
  const end = a + ((<usize>n) << 3);
  for (; a < end; a += 16, b += 16) sums = f64x2.add(sums, f64x2.mul(v128.load(a), v128.load(b)));
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}

/** Adds `scale` times the stretch at `from` to that at `to`. */
export function addScaled(cells: Float64Array, to: i32, from: i32, n: i32, scale: f64): void {
  if (ASC_TARGET === JAVASCRIPT) {
    for (let i = 0; i < n; i++) cells[to + i] = at(cells, to + i) + scale * at(cells, from + i);
    return;
  }
  const factor = f64x2.splat(scale);
  let a = cells.dataStart + ((<usize>to) << 3);
  let b = cells.dataStart + ((<usize>from) << 3);
  const end = a + ((<usize>n) << 3);
  for (; a < end; a += 16, b += 16) v128.store(a, f64x2.add(v128.load(a), f64x2.mul(factor, v128.load(b))));
}

/** Writes matrix × vector to `GAIN`; the matrix has `n` rows of `n`. */
export function multiply(cells: Float64Array, matrix: i32, vector: i32, n: i32): void {
  if (ASC_TARGET === JAVASCRIPT) {
    for (let i = 0; i < n; i++) cells[GAIN + i] = dot(cells, matrix + i * n, vector, n);
    return;
  }
  const pitch = (<usize>n) << 3;
  const first = cells.dataStart + ((<usize>vector) << 3);
  let to = cells.dataStart + ((<usize>GAIN) << 3);
  let row = cells.dataStart + ((<usize>matrix) << 3);
  // Two rows at once share what they load of the vector.
  for (let i = 0; i < n; i += 2) {
    let sums = f64x2.splat(0);
    let sumsBelow = f64x2.splat(0);
    let v = first;
    const end = row + pitch;
    for (; row < end; row += 16, v += 16) {
      const factor = v128.load(v);
      sums = f64x2.add(sums, f64x2.mul(v128.load(row), factor));
      sumsBelow = f64x2.add(sumsBelow, f64x2.mul(v128.load(row + pitch), factor));
    }
    store<f64>(to, f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1));
    store<f64>(to, f64x2.extract_lane(sumsBelow, 0) + f64x2.extract_lane(sumsBelow, 1), 8);
    row += pitch;
    to += 16;
  }
}

/** Takes `GAIN` × its transpose out of a matrix of `n` rows of `n`, and multiplies what is left by `growth`. */
export function subtractOuter(cells: Float64Array, matrix: i32, n: i32, growth: f64): void {
  if (ASC_TARGET === JAVASCRIPT) {
    for (let i = 0; i < n; i++) {
      const row = matrix + i * n;
      const scale = at(cells, GAIN + i);
      for (let j = 0; j < n; j++)
        cells[row + j] = growth * (at(cells, row + j) - scale * at(cells, GAIN + j));
    }
    return;
  }
  const grow = f64x2.splat(growth);
  const pitch = (<usize>n) << 3;
  const gain = cells.dataStart + ((<usize>GAIN) << 3);
  let row = cells.dataStart + ((<usize>matrix) << 3);
  for (let i: usize = 0; i < pitch; i += 16) {
    const scale = f64x2.splat(load<f64>(gain + i));
    const scaleBelow = f64x2.splat(load<f64>(gain + i, 8));
    let g = gain;
    const end = row + pitch;
    for (; row < end; row += 16, g += 16) {
      const vector = v128.load(g);
      const below = row + pitch;
      v128.store(row, f64x2.mul(grow, f64x2.sub(v128.load(row), f64x2.mul(scale, vector))));
      v128.store(below, f64x2.mul(grow, f64x2.sub(v128.load(below), f64x2.mul(scaleBelow, vector))));
    }
    row += pitch;
  }
}

/** Moves the running mean squares at `power` towards the values at `to`, and divides those by their roots. */
export function normalise(cells: Float64Array, to: i32, power: i32, n: i32, rate: f64, leastRoot: f64): void {
  if (ASC_TARGET === JAVASCRIPT) {
    for (let i = 0; i < n; i++) {
      const value = at(cells, to + i);
      const before = at(cells, power + i);
      const mean = before + rate * (value * value - before);
      cells[power + i] = mean;
      cells[to + i] = value / (Math.sqrt(mean) + leastRoot);
    }
    return;
  }
  const step = f64x2.splat(rate);
  const least = f64x2.splat(leastRoot);
  let a = cells.dataStart + ((<usize>to) << 3);
  let b = cells.dataStart + ((<usize>power) << 3);
  const end = a + ((<usize>n) << 3);
  for (; a < end; a += 16, b += 16) {
    const value = v128.load(a);
    const before = v128.load(b);
    const mean = f64x2.add(before, f64x2.mul(step, f64x2.sub(f64x2.mul(value, value), before)));
    v128.store(b, mean);
    v128.store(a, f64x2.div(value, f64x2.add(f64x2.sqrt(mean), least)));
  }
}
