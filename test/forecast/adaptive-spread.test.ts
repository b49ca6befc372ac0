/** How large the error will be: what is taken of a point, what is made of it, and what an error teaches. */
import { expect, test } from "bun:test";
import * as layout from "../../assembly/adaptive/layout.ts";
import { learnSpread } from "../../assembly/adaptive/spread.ts";
import { autoregressive, gaussian, jsAdaptive, newestRow, startSeconds } from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";
import { seededRandom } from "./seeded-random.ts";

/** The 16 features before they are scaled, from what the memory knew when the point came. */
function naiveFeatures(
  before: Float64Array,
  after: Float64Array,
  row: number,
  values: readonly number[],
): number[] {
  const value = values.at(-1) as number;
  const step = Math.abs(value - (values.at(-2) ?? value));
  const [hour, day] = [after[row + layout.PENDING_HOUR] as number, after[row + layout.PENDING_DAY] as number];
  const cell = (address: number): number => after[address] as number;
  const last = values.slice(-50).sort((a, b) => a - b);
  const fromMedian = value - (last[last.length >> 1] as number);
  const ahead = cell(row + layout.PENDING_VALUE) - value;
  const moved = (address: number, rate: number): number =>
    (1 - rate) * (before[address] as number) + rate * step;
  return [
    moved(layout.FAST_STEP, 0.2),
    moved(layout.SLOW_STEP, 0.03),
    Math.abs(value - cell(layout.AVERAGE)),
    Math.abs(value - cell(layout.AVERAGE + 1)),
    cell(layout.FAST_ERROR),
    cell(layout.SLOW_ERROR),
    cell(layout.HOUR_ABOVE + hour),
    cell(layout.HOUR_BELOW + hour),
    Math.max(0, fromMedian),
    Math.max(0, -fromMedian),
    cell(layout.DAY_ABOVE + day),
    cell(layout.DAY_BELOW + day),
    Math.max(0, ahead),
    Math.max(0, -ahead),
    (last.at(-1) as number) - (last[0] as number),
    1,
  ];
}

test("each feature is what it says over its root mean square, and the spread eight tenths shared", () => {
  const series = jsAdaptive.createSeries({ horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 });
  const stream = autoregressive(5, 0.8);
  const values: number[] = [];
  const powers = new Array<number>(16).fill(0);
  for (let i = 0; i < 900; i++) {
    const before = series.save();
    values.push(stream(i));
    series.push(startSeconds + i * 30, values.at(-1) as number, 50);
    const cells = series.save();
    const row = newestRow(cells);
    const naive = naiveFeatures(before, cells, row, values);
    naive.forEach((feature, k) => {
      powers[k] =
        (powers[k] as number) + Math.max(0.01, 1 / (i + 1)) * (feature ** 2 - (powers[k] as number));
      const scaled = feature / (Math.sqrt(powers[k] as number) + 1e-9);
      expectClose(
        cells[row + layout.PENDING_SPREAD + k] as number,
        scaled,
        1e-6,
        `point ${i}, feature ${k}`,
        1,
      );
    });
    expectSpread(cells, row, i);
  }
});

/** Half the usual error until 30 outcomes are known; then two regressions, never under a quarter of the usual error. */
function expectSpread(cells: Float64Array, row: number, point: number): void {
  const usual = cells[layout.SLOW_ERROR] as number;
  const predicted = (from: number): number => {
    let sum = 0;
    for (let k = 0; k < 16; k++)
      sum +=
        (cells[layout.SPREAD_MODEL + 4 + from + k] as number) *
        (cells[row + layout.PENDING_SPREAD + k] as number);
    return Math.max(0, sum);
  };
  const [up, down] = [predicted(0), predicted(16)];
  const side = (own: number): number =>
    (point < 39 ? usual / 2 : Math.max(0.4 * (up + down) + 0.2 * own, usual / 4)) + 1e-3;
  expectClose(cells[row + layout.PENDING_SPREAD_ABOVE] as number, side(up), 1e-9, `point ${point}: above`);
  expectClose(cells[row + layout.PENDING_SPREAD_BELOW] as number, side(down), 1e-9, `point ${point}: below`);
}

test.each([2, -2])(
  "an error of %d moves what is usual, at its time of the hour and of the day, on its side",
  (error) => {
    const cells = new Float64Array(layout.CELLS);
    const row = layout.PENDING;
    [cells[layout.HORIZON_SECONDS], cells[layout.TYPICAL_STEP]] = [300, 60];
    cells[layout.SCORED] = 1_000;
    [cells[row + layout.PENDING_HOUR], cells[row + layout.PENDING_DAY]] = [7, 99];
    cells.fill(1, layout.HOUR_ABOVE, layout.DAY_BELOW + layout.DAY_BINS);
    [cells[layout.FAST_ERROR], cells[layout.SLOW_ERROR], cells[layout.LARGEST_ERROR]] = [1, 1, 3];
    learnSpread(cells, row, error);
    const [above, below] = error > 0 ? [1.1, 0.9] : [0.9, 1.1];
    const { HOUR_ABOVE, HOUR_BELOW, DAY_ABOVE, DAY_BELOW } = layout;
    const learned = [HOUR_ABOVE + 7, HOUR_BELOW + 7, DAY_ABOVE + 99, DAY_BELOW + 99].map(
      (cell) => cells[cell] as number,
    );
    [above, below, above, below].forEach((expected, i) => {
      expect(learned[i]).toBeCloseTo(expected, 12);
    });
    expect(cells.slice(HOUR_ABOVE, DAY_BELOW + layout.DAY_BINS).filter((each) => each !== 1).length).toBe(4);
    expect(cells[layout.FAST_ERROR]).toBeCloseTo(1.05, 12);
    expect(cells[layout.SLOW_ERROR]).toBeCloseTo(1.005, 12);
    expect(cells[layout.LARGEST_ERROR]).toBeCloseTo((1 - 0.003 / 5) * 3, 12);
    learnSpread(cells, row, 5);
    expect(cells[layout.LARGEST_ERROR]).toBe(5);
  },
);

test("two sides that nothing tells apart but the newest step are learned each on its own", () => {
  const random = seededRandom(3);
  const cells = new Float64Array(layout.CELLS);
  const row = layout.PENDING;
  [cells[layout.HORIZON_SECONDS], cells[layout.TYPICAL_STEP]] = [300, 300];
  const covariance = layout.SPREAD_MODEL + 4 + 32;
  for (let k = 0; k < 16; k++) cells[covariance + 17 * k] = 1 / 20;
  for (let i = 0; i < 3_000; i++) {
    const [up, down] = [random.below(2), random.below(2)];
    cells.fill(0, row + layout.PENDING_SPREAD, row + layout.PENDING_SPREAD + 16);
    [cells[row + layout.PENDING_SPREAD], cells[row + layout.PENDING_SPREAD + 1]] = [up, down];
    // Upwards by 4 where the first feature says so, downwards by 2 where the second does.
    learnSpread(cells, row, (i % 2 === 0 ? 4 * up : -2 * down) + 0.01 * gaussian(random));
  }
  const weights = [0, 1, 16, 17].map((k) => cells[layout.SPREAD_MODEL + 4 + k] as number);
  // Every other error is on the other side, so that half of each is learned.
  [2, 0, 0, 1].forEach((expected, i) => {
    expect(Math.abs((weights[i] as number) - expected), `seed ${random.seed}, weight ${i}`).toBeLessThan(0.2);
  });
});
