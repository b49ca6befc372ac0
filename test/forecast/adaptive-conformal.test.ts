/** One outcome, one bound: the interval's arithmetic on a memory made by hand. */
import { describe, expect, test } from "bun:test";
import { forecastBounds, learnCoverage, startConformal } from "../../assembly/adaptive/conformal.ts";
import * as layout from "../../assembly/adaptive/layout.ts";
import { pushSorted } from "../../assembly/adaptive/sorted-window.ts";

const row = layout.PENDING;
const { ALPHA_BOTH, ALPHA_ABOVE, ALPHA_BELOW } = layout;

/** A memory that has seen the errors 1 to `errors`, in units of their spread. */
function memoryWith(errors: number): Float64Array {
  const cells = new Float64Array(layout.CELLS);
  // Five horizons overlap, for which the rates are as they stand.
  [cells[layout.HORIZON_SECONDS], cells[layout.TYPICAL_STEP]] = [300, 60];
  cells[layout.SCORED] = errors + 1;
  startConformal(cells);
  for (let i = 1; i <= errors; i++) pushSorted(cells, layout.SCALED_ERRORS, layout.ERRORS, i);
  cells[layout.LARGEST_ERROR] = 1e9;
  cells[row + layout.PENDING_SPREAD_ABOVE] = 2;
  cells[row + layout.PENDING_SPREAD_BELOW] = 0.5;
  return cells;
}

/** A forecast of 50, within 40..60, above 42 and below 58, meets `outcome`. */
function after(outcome: number, errors = 30): Float64Array {
  const cells = memoryWith(errors);
  const { PENDING_VALUE, PENDING_LOWER, PENDING_UPPER, PENDING_AT_LEAST, PENDING_AT_MOST } = layout;
  cells[row + PENDING_VALUE] = 50;
  [cells[row + PENDING_LOWER], cells[row + PENDING_UPPER]] = [40, 60];
  [cells[row + PENDING_AT_LEAST], cells[row + PENDING_AT_MOST]] = [42, 58];
  learnCoverage(cells, row, outcome);
  return cells;
}

describe("an outcome", () => {
  // Held: the miscoverage grows by 0.003 × 0.05; missed: it shrinks by 0.003 × 0.95.
  const [held, missed] = [0.003 * 0.05, -0.003 * 0.95];
  test.each([
    [50, 1, held, held, held],
    [60, 1, held, missed, held],
    [60.1, 0, missed, missed, held],
    [58, 1, held, held, held],
    [41, 1, held, held, missed],
    [40, 1, held, held, missed],
    [39.9, 0, missed, held, missed],
  ])(
    "of %d is covered %d times and moves each miscoverage its own way",
    (outcome, covered, both, above, below) => {
      const cells = after(outcome);
      expect(cells[layout.JUDGED]).toBe(1);
      expect(cells[layout.COVERED]).toBe(covered);
      expect(cells[ALPHA_BOTH]).toBeCloseTo(0.05 + both, 12);
      expect(cells[ALPHA_ABOVE]).toBeCloseTo(0.1 + above, 12);
      expect(cells[ALPHA_BELOW]).toBeCloseTo(0.1 + below, 12);
      expect(cells[layout.RECENT_COVERAGE]).toBeCloseTo(0.95 + 0.008 * (covered - 0.95), 12);
    },
  );

  test("is counted in the spread of its own side", () => {
    const newest = (cells: Float64Array): number =>
      cells[layout.SCALED_ERRORS + layout.SORTED_HEADER + 30] as number;
    expect(newest(after(53))).toBe(1.5);
    expect(newest(after(47))).toBe(6);
  });

  test.each([
    [19, 0],
    [20, 1],
  ])("after %i others is judged %i times", (errors, judged) => {
    expect(after(50, errors)[layout.JUDGED]).toBe(judged);
  });

  test("never moves a miscoverage out of -0.5..0.5", () => {
    const cells = after(50);
    for (let i = 0; i < 10_000; i++) learnCoverage(cells, row, 50);
    expect([cells[ALPHA_BOTH], cells[ALPHA_ABOVE], cells[ALPHA_BELOW]]).toEqual([0.5, 0.5, 0.5]);
    for (let i = 0; i < 500; i++) learnCoverage(cells, row, 1e6);
    expect([cells[ALPHA_BOTH], cells[ALPHA_ABOVE], cells[ALPHA_BELOW]]).toEqual([-0.5, -0.5, 0.5]);
  });
});

describe("the bounds", () => {
  /** Bounds of a forecast 3 above the value, `horizons` after the first outcome could come. */
  function bounds(
    alpha: number,
    horizons: number,
    largest = 1e9,
  ): Record<"lower" | "upper" | "atLeast" | "atMost", number> {
    const cells = memoryWith(99);
    for (const miscoverage of [ALPHA_BOTH, ALPHA_ABOVE, ALPHA_BELOW]) cells[miscoverage] = alpha;
    cells[ALPHA_ABOVE] = 2 * alpha;
    cells[ALPHA_BELOW] = 3 * alpha;
    cells[layout.LARGEST_ERROR] = largest;
    forecastBounds(cells, row, (horizons + 1) * 300, 50, 3);
    const { AHEAD_LOWER, AHEAD_UPPER, AHEAD_AT_LEAST, AHEAD_AT_MOST } = layout;
    const [lower, upper, atLeast, atMost] = [AHEAD_LOWER, AHEAD_UPPER, AHEAD_AT_LEAST, AHEAD_AT_MOST].map(
      (cell) => (cells[cell] as number) - 3,
    ) as [number, number, number, number];
    return { lower, upper, atLeast, atMost };
  }

  test("are the quantiles of 1 to 99 by the spread of each side, each at its own miscoverage", () => {
    // Of 99 errors the quantile at 1 - α is the (1 - α) × 100th; there is 1 / 1e6 of caution.
    const { lower, upper, atLeast, atMost } = bounds(0.05, 1e6);
    expect(upper).toBeCloseTo(2 * 95, 2);
    expect(lower).toBeCloseTo(-0.5 * 95, 2);
    expect(atMost).toBeCloseTo(2 * 90, 2);
    expect(atLeast).toBeCloseTo(-0.5 * 85, 2);
  });

  test("are twice as far after one horizon, half more after two, six times at the beginning", () => {
    for (const [horizons, caution] of [
      [1, 2],
      [2, 1.5],
      [0.01, 6],
    ] as const)
      expect(bounds(0.05, horizons).upper).toBeCloseTo(caution * 2 * 95, 6);
  });

  test("lie beyond the largest error of the window by three tenths at most", () => {
    expect(bounds(-0.05, 1e6).upper).toBeCloseTo(2 * 99 * 1.3, 2);
    // At 0.995 the place is half a rank beyond the last: a quarter.
    expect(bounds(0.005, 1e6).upper).toBeCloseTo(2 * 99 * 1.25, 2);
  });

  test("are no further than the largest error lately, and at first no nearer than one unit over the horizons", () => {
    expect(bounds(0.05, 4, 40)).toMatchObject({ upper: 1.25 * 40, lower: -1.25 * 40 });
    // A tenth less after four of the forty horizons in which it fades.
    expect(bounds(0.05, 4, 1e-6).upper).toBeCloseTo(0.225, 12);
    expect(bounds(0.05, 4, 1e-6).atLeast).toBeCloseTo(-0.225, 12);
    expect(bounds(0.05, 40, 1e-6).upper).toBeLessThan(1e-5);
  });
});
