/** Decimal numbers in bytes, rounded as `Number` rounds them and about ten times as fast. */
import { fieldText } from "./csv-fields.ts";
import { shown } from "./trace-error.ts";

const digit0 = 48;
const point = 46;
const minus = 45;

/** Up to 15 digits are a whole double exactly, and so is 10^15: their quotient is rounded once, which is right. */
const exactDigits = 15;
const powersOfTen = Float64Array.from({ length: exactDigits + 1 }, (_, power) => 10 ** power);

/** Beyond it squares overflow; the forecast refuses such values too. */
const maxMagnitude = 1e100;

/** The number written plainly (sign, up to 15 digits, a point) from `start` up to `end`; NaN for any other text. */
export function plainNumber(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === minus;
  let mantissa = 0;
  let digits = 0;
  let pointAt = -1;
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const digit = (bytes[at] as number) - digit0;
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit;
      digits++;
    } else if (bytes[at] === point && pointAt < 0) pointAt = at;
    else return Number.NaN;
  }
  if (digits === 0 || digits > exactDigits) return Number.NaN;
  const size = pointAt < 0 ? mantissa : mantissa / (powersOfTen[end - pointAt - 1] as number);
  return negative ? -size : size;
}

/** The number that a field holds in any decimal notation, or why it holds none. */
export function anyNumber(bytes: Uint8Array, start: number, end: number): number | string {
  const text = fieldText(bytes, start, end);
  if (text === "") return "is empty where a number is expected";
  if (/^[+-]?(nan|inf|infinity)$/i.test(text)) return `${shown(text)} is not finite: leave such rows out`;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return `${shown(text)} is not a number`;
  const value = Number(text);
  return Math.abs(value) <= maxMagnitude ? value : `${shown(text)} is beyond ±1e100`;
}
