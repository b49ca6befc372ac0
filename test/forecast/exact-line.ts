/**
 * The least-squares line in rational arithmetic: what a fit would be without rounding. Every finite double is an
 * integer times a power of two, so scaled BigInts hold the sums exactly.
 */

/** The line's value at `targetSeconds`, its slope and its residual sum of squares, each rounded once. */
export interface ExactLine {
  value: number;
  slopePerSecond: number;
  sumSquaredResidual: number;
}

/** Fits `values` over `times`, which must hold at least two different times; all finite. */
export function exactLine(times: number[], values: number[], targetSeconds: number): ExactLine {
  // No more bits than the points have: the products of long integers are what this takes its time for.
  const timeBits = fractionBits([...times, targetSeconds]);
  const valueBits = fractionBits(values);
  const n = BigInt(times.length);
  let [sumT, sumY, sumTT, sumTY, sumYY] = [0n, 0n, 0n, 0n, 0n];
  for (const [i, time] of times.entries()) {
    const [t, y] = [scaled(time, timeBits), scaled(values[i] as number, valueBits)];
    sumT += t;
    sumY += y;
    sumTT += t * t;
    sumTY += t * y;
    sumYY += y * y;
  }
  const sxx = n * sumTT - sumT * sumT;
  const sxy = n * sumTY - sumT * sumY;
  const syy = n * sumYY - sumY * sumY;
  const away = n * scaled(targetSeconds, timeBits) - sumT;
  const [t, y] = [BigInt(timeBits), BigInt(valueBits)];
  return {
    value: ratio(sumY * sxx + sxy * away, (n * sxx) << y),
    slopePerSecond: ratio(sxy << t, sxx << y),
    sumSquaredResidual: ratio(syy * sxx - sxy * sxy, (n * sxx) << (2n * y)),
  };
}

/** How many bits the longest of `numbers` has below the point. */
function fractionBits(numbers: readonly number[]): number {
  let bits = 0;
  for (const number of numbers) {
    let rest = number * 2 ** bits;
    // A power of two only moves the point, unless it leaves the range.
    if (!Number.isFinite(rest))
      throw new RangeError(`${number} beside one with ${bits} bits below the point`);
    for (; !Number.isInteger(rest); bits++) rest *= 2;
  }
  return bits;
}

/** `value` * 2^bits as an integer; `value` must have no bits below that. */
const scaled = (value: number, bits: number): bigint => BigInt(value * 2 ** bits);

/** The double nearest to numerator / denominator, to the last bit or the one beside it. */
function ratio(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n !== denominator < 0n;
  const top = numerator < 0n ? -numerator : numerator;
  const bottom = denominator < 0n ? -denominator : denominator;
  // The quotient has 61 bits or more.
  const shift = 64 - 4 * (top.toString(16).length - bottom.toString(16).length);
  const quotient = shift >= 0 ? (top << BigInt(shift)) / bottom : top / (bottom << BigInt(-shift));
  const magnitude = Number(quotient) * 2 ** -shift;
  return negative ? -magnitude : magnitude;
}
