/** A forecast that goes over a line is told once, and again when it is well under it. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { LineCrossings } from "../../src/forecast/line-crossings.ts";

const told = (values: readonly number[], lineRatio = 0.8): (string | null)[] => {
  const crossings = new LineCrossings();
  return values.map((value) => crossings.look(value, lineRatio)?.direction ?? null);
};

test.each([
  [
    [0.5, 0.79],
    [null, null],
  ],
  [[0.9], ["above"]],
  [
    [0.5, 0.8, 0.85],
    [null, "above", null],
  ],
  // Hovering at the line is no news; 2 points under it are.
  [
    [0.81, 0.79, 0.81, 0.79],
    ["above", null, null, null],
  ],
  [
    [0.81, 0.77, 0.79, 0.82],
    ["above", "below", null, "above"],
  ],
])("%j", (values, directions) => {
  expect(told(values)).toEqual(directions as (string | null)[]);
});

test("the directions always alternate, beginning with above", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1.2, noNaN: true })), (values) => {
      const directions = told(values).filter((direction) => direction !== null);
      expect(directions).toEqual(directions.map((_, index) => (index % 2 === 0 ? "above" : "below")));
    }),
  );
});

test("a line that moves is crossed by a value that stays", () => {
  const crossings = new LineCrossings();
  expect(crossings.look(0.7, 0.8)).toBeNull();
  expect(crossings.look(0.7, 0.6)).toEqual({ direction: "above", valueRatio: 0.7, lineRatio: 0.6 });
});
