/** The sorted window against one that sorts anew each time. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import * as windows from "../../assembly/adaptive/sorted-window.ts";

const window = 3;
const capacities = fc.constantFrom(1, 2, 3, 7, 50);
/** Few different values make ties; others are any. */
const values = fc.array(
  fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -1e9, max: 1e9, noNaN: true })),
  { minLength: 1, maxLength: 180 },
);

const cellsOf = (capacity: number): Float64Array => new Float64Array(window + 2 + 2 * capacity + 3);
const inOrder = (some: readonly number[]): number[] => [...some].sort((a, b) => a - b);

/** The quantile of rank share × (n + 1) (Hyndman and Fan 1996, type 6), and beyond the largest as documented. */
function naiveQuantile(sorted: readonly number[], share: number, beyond: number): number {
  const rank = share * (sorted.length + 1);
  if (rank <= 1) return sorted[0] as number;
  const largest = sorted.at(-1) as number;
  if (rank >= sorted.length)
    return largest + Math.abs(largest) * Math.min(beyond, (rank - sorted.length) / 2);
  const lower = sorted[Math.floor(rank) - 1] as number;
  return lower + (rank % 1) * ((sorted[Math.floor(rank)] as number) - lower);
}

test("it holds the last values, in order and by age, and touches no cell outside", () => {
  fc.assert(
    fc.property(capacities, values, (capacity, pushed) => {
      const cells = cellsOf(capacity)
        .fill(7, 0, window)
        .fill(7, window + 2 + 2 * capacity);
      pushed.forEach((value, i) => {
        const place = windows.ringNext(cells, window, capacity);
        windows.pushSorted(cells, window, capacity, value);
        expect(cells[window + 2 + place]).toBe(value);
        const last = pushed.slice(Math.max(0, i + 1 - capacity), i + 1);
        const count = windows.sortedCount(cells, window);
        expect(count).toBe(last.length);
        const ring = [...cells.slice(window + 2, window + 2 + count)];
        const start = windows.ringStart(cells, window);
        expect([...ring.slice(start), ...ring.slice(0, start)]).toEqual(last);
        const sorted = [...cells.slice(window + 2 + capacity, window + 2 + capacity + count)];
        expect(sorted.map((each) => each + 0)).toEqual(inOrder(last).map((each) => each + 0));
      });
      expect([...cells.slice(0, window), ...cells.slice(window + 2 + 2 * capacity)]).toEqual(
        Array(6).fill(7),
      );
    }),
    { numRuns: 60 },
  );
});

test("its median is the middle value, the upper one of two; its span the range", () => {
  fc.assert(
    fc.property(capacities, values, (capacity, pushed) => {
      const cells = cellsOf(capacity);
      expect(windows.median(cells, window, capacity)).toBe(0);
      for (const value of pushed) windows.pushSorted(cells, window, capacity, value);
      const sorted = inOrder(pushed.slice(-capacity));
      expect(windows.median(cells, window, capacity) + 0).toBe(
        (sorted[Math.floor(sorted.length / 2)] as number) + 0,
      );
      expect(windows.spanOf(cells, window, capacity)).toBe((sorted.at(-1) as number) - (sorted[0] as number));
    }),
    { numRuns: 200 },
  );
});

test("its quantiles are those of ranks, with what lies beyond the largest", () => {
  const shares = fc.double({ min: -0.1, max: 1.1, noNaN: true });
  fc.assert(
    fc.property(capacities, values, shares, fc.constantFrom(0, 0.3), (capacity, pushed, share, beyond) => {
      const cells = cellsOf(capacity);
      for (const value of pushed) windows.pushSorted(cells, window, capacity, value);
      const expected = naiveQuantile(inOrder(pushed.slice(-capacity)), share, beyond);
      const scale = Math.max(1e-3, ...pushed.map(Math.abs));
      const found = windows.quantile(cells, window, capacity, share, beyond);
      expect(Math.abs(found - expected) / scale).toBeLessThan(1e-12);
    }),
    { numRuns: 500 },
  );
});

test.each([
  // share × 6 - 1 is the place among 10 20 30 40 50.
  [0.5, 0, 30],
  [0.6, 0, 36],
  [1 / 6, 0, 10],
  [0, 0, 10],
  [5 / 6, 0.3, 50],
  [0.95, 0.3, 50 + 50 * 0.3],
  [0.9, 0.3, 50 + 50 * 0.2],
  [0.9, 0, 50],
])("of five values, at %d with %d beyond, it is %d", (share, beyond, expected) => {
  const cells = cellsOf(50);
  for (const value of [40, 10, 50, 30, 20]) windows.pushSorted(cells, window, 50, value);
  expect(windows.quantile(cells, window, 50, share, beyond)).toBeCloseTo(expected, 10);
});
