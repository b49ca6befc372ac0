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

/** Fits `values` over `times`, which must hold at least two different times. */
export function exactLine(times: number[], values: number[], targetSeconds: number): ExactLine {
  const scaleBits = 200n;
  const n = BigInt(times.length);
  const t = times.map((time) => scaled(time, scaleBits));
  const y = values.map((value) => scaled(value, scaleBits));
  const sum = (terms: bigint[]): bigint => terms.reduce((total, term) => total + term, 0n);
  const sumT = sum(t);
  const sumY = sum(y);
  const sxx = n * sum(t.map((ti) => ti * ti)) - sumT * sumT;
  const sxy = n * sum(t.map((ti, i) => ti * (y[i] as bigint))) - sumT * sumY;
  const syy = n * sum(y.map((yi) => yi * yi)) - sumY * sumY;
  const target = scaled(targetSeconds, scaleBits);
  return {
    value: ratio(sumY * sxx + sxy * (n * target - sumT), (n * sxx) << scaleBits),
    slopePerSecond: ratio(sxy, sxx),
    sumSquaredResidual: ratio(syy * sxx - sxy * sxy, (n * sxx) << (2n * scaleBits)),
  };
}

/** `value` * 2^bits as an integer; `value` must have no bits below that. */
function scaled(value: number, bits: bigint): bigint {
  let mantissa = value;
  let exponent = 0n;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent += 1n;
  }
  if (exponent > bits) throw new RangeError(`${value} needs more than ${bits} fractional bits`);
  return BigInt(mantissa) << (bits - exponent);
}

/** The double nearest to numerator / denominator, to the last bit or the one beside it. */
function ratio(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n !== denominator < 0n;
  const top = numerator < 0n ? -numerator : numerator;
  const bottom = denominator < 0n ? -denominator : denominator;
  const shift = 64 - (top.toString(2).length - bottom.toString(2).length);
  const quotient = shift >= 0 ? (top << BigInt(shift)) / bottom : top / (bottom << BigInt(-shift));
  const magnitude = Number(quotient) * 2 ** -shift;
  return negative ? -magnitude : magnitude;
}
