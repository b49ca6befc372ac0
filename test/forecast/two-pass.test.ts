import { describe, expect, test } from "bun:test";
import { expectClose } from "./closeness.ts";
import { exactLine } from "./exact-line.ts";
import { norris } from "./norris.ts";
import { PointRing } from "./point-ring.ts";
import { seededRandom } from "./seeded-random.ts";
import {
  emptyFit,
  fitLine,
  type LineFit,
  lineAt,
  predictionHalfWidth,
  residualVariance,
} from "./two-pass.ts";

function fitOf(times: readonly number[], values: readonly number[]): LineFit {
  const ring = new PointRing(times.length);
  times.forEach((t, i) => {
    ring.append(t, values[i] as number);
  });
  const fit = emptyFit();
  fitLine(ring, fit);
  return fit;
}

const fromMean = (fit: LineFit, t: number): number => t - fit.originSeconds - fit.meanTime;

describe("least squares", () => {
  test("gives NIST's certified values for Norris", () => {
    const fit = fitOf(
      norris.map(([x]) => x),
      norris.map(([, y]) => y),
    );
    expectClose(fit.slopePerSecond, 1.00211681802045, 1e-13, "slope");
    expectClose(lineAt(fit, fromMean(fit, 0)), -0.262323073774029, 1e-12, "intercept");
    expectClose(Math.sqrt(residualVariance(fit)), 0.884796396144373, 1e-13, "residual deviation");
    // Certified deviation of the intercept: s * sqrt(1/n + xbar² / Sxx).
    const meanX = fit.originSeconds + fit.meanTime;
    const interceptDeviation = Math.sqrt(residualVariance(fit) * (1 / 36 + meanX ** 2 / fit.sumSquaredTime));
    expectClose(interceptDeviation, 0.232818234301152, 1e-13, "intercept deviation");
  });

  test("the interval is t * s * sqrt(1 + 1/n + (t0 - tbar)² / Sxx), worked by hand", () => {
    // Times 0 1 2 3, values 0 2 1 3: slope 0.8, residuals -0.3 0.9 -0.9 0.3, SSE 1.8, s² 0.9, Sxx 5, tbar 1.5.
    const fit = fitOf([0, 1, 2, 3], [0, 2, 1, 3]);
    expectClose(fit.slopePerSecond, 0.8, 1e-15, "slope");
    const expected = 4.302652729749464 * Math.sqrt(0.9 * (1 + 1 / 4 + 3.5 ** 2 / 5));
    expectClose(predictionHalfWidth(fit, fromMean(fit, 5)), expected, 1e-14, "half-width");
  });

  test("one point gets a flat line and no division by zero", () => {
    const fit = fitOf([7], [42]);
    expect(fit.slopePerSecond).toBe(0);
    expect(lineAt(fit, fromMean(fit, 1000))).toBe(42);
  });

  test("agrees with rational arithmetic on random windows, however far the origin", () => {
    const random = seededRandom(20240611);
    for (let round = 0; round < 300; round++) {
      const points = 3 + random.below(60);
      const tOffset = random.pick([0, 1.7e9, 1.7e12]);
      const yOffset = random.pick([0, 1e3, 1e9, -1e12]);
      const times: number[] = [];
      let t = tOffset;
      for (let i = 0; i < points; i++) {
        t += 0.25 + random.unit() * 30;
        times.push(t);
      }
      const values = times.map(() => yOffset + random.unit() * 100);
      const target = (times.at(-1) as number) + 300;
      const fit = fitOf(times, values);
      const exact = exactLine(times, values, target);
      const what = `seed ${random.seed}, round ${round}`;
      const spread = 100 / ((times.at(-1) as number) - (times[0] as number));
      expectClose(fit.slopePerSecond, exact.slopePerSecond, 1e-12, `${what}: slope`, spread);
      expectClose(lineAt(fit, fromMean(fit, target)), exact.value, 1e-12, `${what}: forecast`, 100);
      expectClose(fit.sumSquaredResidual, exact.sumSquaredResidual, 1e-10, `${what}: SSE`);
    }
  });
});
