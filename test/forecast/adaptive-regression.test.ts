/** The recursive regression against one that solves all equations at once; and what keeps it from blowing up. */
import { describe, expect, test } from "bun:test";
import { CELLS, HORIZON_SECONDS, TYPICAL_STEP } from "../../assembly/adaptive/layout.ts";
import {
  learnPair,
  learnRegression,
  predictRegression,
  startRegression,
} from "../../assembly/adaptive/regression.ts";
import { gaussian } from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";
import { batchWeights, cholesky } from "./linear-solve.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

const model = 100;
const features = 2_000;
const unclipped = 1e12;

/** A memory with one regression; points come every `step` seconds for a horizon of 300. */
function memoryOf(n: number, outputs: number, ridge: number, step = 30): Float64Array {
  const cells = new Float64Array(CELLS);
  cells[HORIZON_SECONDS] = 300;
  cells[TYPICAL_STEP] = step;
  startRegression(cells, model, n, outputs, ridge);
  return cells;
}

const weightsOf = (cells: Float64Array, n: number, output = 0): number[] => [
  ...cells.slice(model + 4 + output * n, model + 4 + (output + 1) * n),
];

function covarianceOf(cells: Float64Array, n: number, outputs = 1): number[][] {
  const from = model + 4 + outputs * n;
  return Array.from({ length: n }, (_, i) => [...cells.slice(from + i * n, from + (i + 1) * n)]);
}

const randomRow = (random: SeededRandom, n: number): number[] =>
  Array.from({ length: n }, () => gaussian(random));

describe("without clipping, the weights are those of weighted ridge least squares", () => {
  test.each([
    // A horizon of 300 s holds 10 steps of 30 s; never more than 64 are taken; one at least.
    [6, 30, 10],
    [10, 1, 64],
    [22, 700, 1],
  ])("on %i features, a point each %i s: %i horizons overlap", (n, step, overlap) => {
    const random = seededRandom(n);
    const truth = randomRow(random, n);
    const cells = memoryOf(n, 1, 8, step);
    const rows: number[][] = [];
    const targets: number[] = [];
    for (let k = 0; k < 400; k++) {
      const row = randomRow(random, n);
      const target = row.reduce((sum, x, i) => sum + x * (truth[i] as number), 0.3 * gaussian(random));
      rows.push(row);
      targets.push(target);
      cells.set(row, features);
      learnRegression(cells, model, features, n, target, 0.997, unclipped);
    }
    const expected = batchWeights(rows, targets, 0.997, 8, overlap);
    weightsOf(cells, n).forEach((weight, i) => {
      expectClose(weight, expected[i] as number, 1e-9, `seed ${random.seed}: weight ${i}`, 1);
    });
    const prediction = rows.at(-1)?.reduce((sum, x, i) => sum + x * (expected[i] as number), 0) as number;
    expectClose(predictRegression(cells, model + 4, features, n), prediction, 1e-9, "prediction", 1);
  });

  test("two targets learned together are what each is alone", () => {
    const random = seededRandom(5);
    const [pair, first, second] = [memoryOf(6, 2, 20), memoryOf(6, 1, 20), memoryOf(6, 1, 20)];
    for (let k = 0; k < 500; k++) {
      const row = randomRow(random, 6);
      const [up, down] = [Math.max(0, 2 * (row[0] as number)) ** 3, Math.abs(gaussian(random)) ** 3];
      for (const cells of [pair, first, second]) cells.set(row, features);
      learnPair(pair, model, features, 6, up, down, 0.9995, 2);
      learnRegression(first, model, features, 6, up, 0.9995, 2);
      learnRegression(second, model, features, 6, down, 0.9995, 2);
    }
    expect(weightsOf(pair, 6, 0)).toEqual(weightsOf(first, 6));
    expect(weightsOf(pair, 6, 1)).toEqual(weightsOf(second, 6));
    expect(covarianceOf(pair, 6, 2)).toEqual(covarianceOf(first, 6));
  });
});

describe("the covariance", () => {
  test.each([6, 22])("of %i features stays symmetric, positive and bounded over 100,000 updates", (n) => {
    const random = seededRandom(n * 31);
    const cells = memoryOf(n, 1, 8);
    for (let k = 0; k < 100_000; k++) {
      // Some features rest for thousands of updates, some say the same, and now and then all are large.
      const asleep = Math.floor(k / 4_000) % n;
      const row = randomRow(random, n).map((x, i) => (i === asleep ? 0 : k % 997 === 0 ? 10 * x : x));
      row[1] = (row[0] as number) + 1e-6 * (row[1] as number);
      cells.set(row, features);
      learnRegression(cells, model, features, n, (row[2] as number) + gaussian(random), 0.997, 3);
      if (k % 5_000 !== 4_999) continue;
      const covariance = covarianceOf(cells, n);
      covariance.forEach((line, i) => {
        expect(line[i] as number, `seed ${random.seed}, update ${k}`).toBeLessThan(1 + 1e-12);
        line.forEach((value, j) => {
          expect(value).toBe(covariance[j]?.[i] as number);
        });
      });
      expect(cholesky(covariance), `seed ${random.seed}, update ${k}: not positive`).not.toBeNull();
    }
  });

  test("of features that say nothing for long is bounded: when they speak, nothing blows up", () => {
    const random = seededRandom(77);
    const cells = memoryOf(22, 1, 8);
    const feed = (speaking: number): number => {
      cells.set(
        randomRow(random, 22).map((x, i) => (i < speaking ? x : 0)),
        features,
      );
      const target = (cells[features] as number) + 0.1 * gaussian(random);
      const error = Math.abs(target - predictRegression(cells, model + 4, features, 22));
      learnRegression(cells, model, features, 22, target, 0.997, 3);
      return error;
    };
    for (let k = 0; k < 30_000; k++) feed(4);
    covarianceOf(cells, 22).forEach((line, i) => {
      expect(line[i] as number).toBeLessThanOrEqual(1 + 1e-12);
    });
    let worst = 0;
    for (let k = 0; k < 2_000; k++) worst = Math.max(worst, feed(22));
    expect(worst, `seed ${random.seed}`).toBeLessThan(2);
  });

  test("shrinks a variance at its bound with what it shares with others: their correlations stay", () => {
    const cells = memoryOf(2, 1, 1);
    cells.set([1, 0.9, 0.9, 1], model + 4 + 2);
    cells.set([0, 0], features);
    learnRegression(cells, model, features, 2, 0, 0.5, 3);
    const [[one, shared], [, other]] = covarianceOf(cells, 2) as [[number, number], [number, number]];
    expect([one, other]).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12)]);
    expect(shared).toBeCloseTo(0.9, 12);
  });
});

describe("one outlier", () => {
  /** Learns y = 2 x with a little noise, then one outcome of `outlier`; answers the largest change of a weight. */
  function turnedBy(outlier: number, clip: number): number {
    const random = seededRandom(3);
    const cells = memoryOf(6, 1, 8);
    for (let k = 0; k < 500; k++) {
      cells.set(randomRow(random, 6), features);
      learnRegression(
        cells,
        model,
        features,
        6,
        2 * (cells[features] as number) + 0.1 * gaussian(random),
        0.997,
        clip,
      );
    }
    const before = weightsOf(cells, 6);
    expect(before[0]).toBeCloseTo(2, 0);
    learnRegression(cells, model, features, 6, outlier, 0.997, clip);
    return Math.max(...weightsOf(cells, 6).map((weight, i) => Math.abs(weight - (before[i] as number))));
  }

  test("counts three usual errors, upwards as downwards, and does not turn the weights", () => {
    expect(turnedBy(1e6, unclipped)).toBeGreaterThan(100);
    expect(turnedBy(1e6, 3)).toBeLessThan(0.01);
    expect(turnedBy(1e6, 3)).toBe(turnedBy(1e9, 3));
    expect(turnedBy(-1e6, 3)).toBeCloseTo(turnedBy(1e6, 3), 3);
  });

  test("does not hide the next: the usual error grows by a tenth at most", () => {
    const cells = memoryOf(2, 1, 8);
    cells.set([0, 0], features);
    for (let k = 0; k < 300; k++) learnRegression(cells, model, features, 2, k % 2 ? 1 : -1, 0.997, 3);
    expect(cells[model + 1]).toBeCloseTo(1, 9);
    learnRegression(cells, model, features, 2, 1e9, 0.997, 3);
    expect(cells[model + 1]).toBeCloseTo(1.09, 6);
  });
});
