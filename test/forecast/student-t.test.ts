import { describe, expect, test } from "bun:test";
import { studentT975, studentT975Table } from "../../src/forecast/student-t.ts";
import { goldenStudentT } from "./golden-windows.ts";

/** P(|T| < t) by the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4. */
function centralProbability(t: number, degreesOfFreedom: number): number {
  const cosSquared = 1 / (1 + (t * t) / degreesOfFreedom);
  const sine = Math.sqrt(1 - cosSquared);
  const odd = degreesOfFreedom % 2 === 1;
  let term = odd ? Math.sqrt(cosSquared) : 1;
  let sum = degreesOfFreedom === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k < degreesOfFreedom - 1; k += 2) {
    term *= (cosSquared * (k - 1)) / k;
    sum += term;
  }
  if (!odd) return sine * sum;
  return (2 / Math.PI) * (Math.atan(t / Math.sqrt(degreesOfFreedom)) + sine * sum);
}

describe("Student's t", () => {
  test("the table is the reference's, to the last bit", async () => {
    expect(studentT975Table).toEqual(await goldenStudentT());
  });

  test("every entry leaves 2.5 % in each tail", () => {
    expect(studentT975Table.length).toBe(1022);
    studentT975Table.forEach((quantile, row) => {
      const error = Math.abs(centralProbability(quantile, row + 1) - 0.95);
      expect(error, `${row + 1} degrees of freedom`).toBeLessThan(1e-13);
    });
  });

  test.each([
    [1, Math.tan(0.475 * Math.PI)],
    [2, 0.95 * Math.sqrt(2 / (1 - 0.95 ** 2))],
  ])("has the closed form for %i degrees of freedom", (degreesOfFreedom, closed) => {
    expect(studentT975(degreesOfFreedom)).toBeCloseTo(closed, 12);
  });

  test("degrees outside the table are clamped to it", () => {
    expect(studentT975(0)).toBe(studentT975(1));
    expect(studentT975(5000)).toBe(studentT975(1022));
  });
});
