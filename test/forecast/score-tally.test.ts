/** What a score says of errors: numbers derived by hand. */

import { describe, expect, test } from "bun:test";
import { quantile, Tally } from "../../src/forecast/score-tally.ts";

/** value, lower, upper, actual */
type Row = [number, number, number, number];

function tallyOf(rows: readonly Row[]): Tally {
  const tally = new Tally();
  for (const row of rows) tally.add(...row);
  return tally;
}

const four: Row[] = [
  [50, 40, 60, 55], // off by 5, within
  [50, 40, 60, 70], // off by 20, 10 above the interval
  [50, 40, 60, 60], // off by 10, on its end: within
  [50, 45, 55, 40], // off by 10, 5 below
];

/** Errors 5, 10, 10, 20; widths 20, 20, 20, 10; 15 outside in all. */
const fourScored = {
  mae: 45 / 4,
  rmse: 12.5, // sqrt((25 + 400 + 100 + 100) / 4)
  p95: 18.5, // place 0.95 * 3 = 2.85: 10 + 0.85 * (20 - 10)
  coverage: 0.5,
  width: 17.5,
  winkler: 17.5 + (2 / 0.05) * (15 / 4), // 167.5
  n: 4,
};

test("errors, interval and Winkler score of four forecasts", () => {
  const score = tallyOf(four).score();
  expect(Object.keys(score).sort()).toEqual(Object.keys(fourScored).sort());
  for (const [figure, expected] of Object.entries(fourScored))
    expect(score[figure as keyof typeof score]).toBeCloseTo(expected, 12);
});

test.each<[string, Row, number]>([
  ["inside: its width", [50, 48, 53, 49], 5],
  ["on the lower end: its width", [50, 48, 53, 48], 5],
  ["above by 1: its width and 40", [50, 48, 53, 54], 45],
  ["below by 0.5: its width and 20", [50, 48, 53, 47.5], 25],
  ["an interval of one number that is hit: 0", [50, 50, 50, 50], 0],
  ["an interval of one number that is missed by 2: 80", [50, 50, 50, 52], 80],
])("the Winkler score of a value %s", (_, row, winkler) => {
  expect(tallyOf([row]).score().winkler).toBeCloseTo(winkler, 12);
});

test("of nothing, everything is unknown but the number", () => {
  const { n, ...rest } = new Tally().score();
  expect(n).toBe(0);
  for (const figure of Object.values(rest)) expect(figure).toBeNaN();
});

test("absorbing others is as having counted all of it", () => {
  const rows = Array.from({ length: 5_000 }, (_, i): Row => [i % 97, i % 89, (i % 89) + 7, i % 101]);
  const parts = [rows.slice(0, 1), rows.slice(1, 3_000), [], rows.slice(3_000)].map(tallyOf);
  const whole = new Tally();
  for (const part of parts) whole.absorb(part);
  expect(whole.score()).toEqual(tallyOf(rows).score());
});

describe("quantile", () => {
  test.each<[number[], number, number]>([
    [[], 0.95, Number.NaN],
    [[3], 0.95, 3],
    [[1, 2], 0.5, 1.5],
    [[0, 10, 20, 30, 40], 0.95, 38],
    [[1, 2, 3], 1, 3],
    [[1, 2, 3], 0, 1],
  ])("of %j at %d is %d", (sorted, share, expected) => {
    const found = quantile(Float64Array.from(sorted), share);
    if (Number.isNaN(expected)) expect(found).toBeNaN();
    else expect(found).toBeCloseTo(expected, 12);
  });
});
