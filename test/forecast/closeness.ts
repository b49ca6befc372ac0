import { expect } from "bun:test";

/** Fails unless `actual` is within `relative` of `expected`, measured against the larger of it and `scale`. */
export function expectClose(
  actual: number,
  expected: number,
  relative: number,
  what: string,
  scale = 0,
): void {
  const error = Math.abs(actual - expected);
  const allowed = relative * Math.max(Math.abs(expected), scale);
  expect(
    error <= allowed,
    `${what} is ${actual}, expected ${expected}: off by ${error}, allowed ${allowed}`,
  ).toBe(true);
}
