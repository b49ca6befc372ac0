/** Profiles: which bin a time falls into, by the calendar of the language; what a bin learns, by a map. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { levelOr, phaseBin, shiftProfile, visit, weekBin } from "../../assembly/adaptive/profile.ts";
import { startSeconds } from "./adaptive-streams.ts";

/** Whole and broken seconds from 1970 to 2100, many of them at the beginning of a minute. */
const times = fc.oneof(
  fc.integer({ min: 0, max: 68_000_000 }).map((minutes) => minutes * 60),
  fc.integer({ min: 0, max: 4_100_000_000 }),
  fc.double({ min: 0, max: 4.1e9, noNaN: true }),
);

describe("the bin of a time", () => {
  test("is the minute of the hour, two minutes of the day, half an hour of a weekday or a weekend day", () => {
    fc.assert(
      fc.property(times, (tSeconds) => {
        const date = new Date(Math.floor(tSeconds) * 1000);
        const minute = date.getUTCHours() * 60 + date.getUTCMinutes();
        const weekend = date.getUTCDay() === 0 || date.getUTCDay() === 6;
        expect(phaseBin(tSeconds, 3600, 60)).toBe(date.getUTCMinutes());
        expect(phaseBin(tSeconds, 86_400, 720)).toBe(Math.floor(minute / 2));
        expect(weekBin(tSeconds, 96)).toBe(Math.floor(minute / 30) + (weekend ? 48 : 0));
      }),
      { numRuns: 3_000 },
    );
  });

  test("lies among the bins for any time", () => {
    const any = fc.oneof(
      fc.double({ min: -1e12, max: 1e12, noNaN: true }),
      fc.constantFrom(-5e-324, 1e100, -1e100),
    );
    fc.assert(
      fc.property(any, (tSeconds) => {
        for (const bin of [phaseBin(tSeconds, 3600, 60), weekBin(tSeconds, 96)])
          expect(Number.isInteger(bin) && bin >= 0 && bin < 96).toBe(true);
        expect(phaseBin(tSeconds, 3600, 60)).toBeLessThan(60);
      }),
    );
  });

  test.each([
    ["Wednesday 00:00", 0, 0],
    ["Wednesday 23:59:59", 86_399, 47],
    ["Saturday 00:00", 3 * 86_400, 48],
    ["Sunday 12:30", 4 * 86_400 + 45_000, 73],
    ["Monday 00:00", 5 * 86_400, 0],
  ])("of the week on %s", (_, after, bin) => {
    expect(weekBin(startSeconds + after, 96)).toBe(bin);
  });
});

describe("a profile", () => {
  const profile = 2;
  const bins = 5;
  const cellsOf = (): Float64Array => new Float64Array(profile + 4 + 2 * bins + 1);
  const visits = fc.array(
    fc.record({
      bin: fc.integer({ min: 0, max: bins - 1 }),
      value: fc.double({ min: 0, max: 100, noNaN: true }),
    }),
    { maxLength: 60 },
  );

  test("knows a bin once its visit has ended: the mean of the first, then a quarter of the way to each", () => {
    fc.assert(
      fc.property(visits, fc.double({ min: -20, max: 20, noNaN: true }), (points, step) => {
        const cells = cellsOf();
        const levels = new Map<number, number>();
        let visited: { bin: number; values: number[] } | null = null;
        for (const { bin, value } of points) {
          if (visited !== null && visited.bin !== bin) {
            const mean = visited.values.reduce((sum, each) => sum + each, 0) / visited.values.length;
            const level = levels.get(visited.bin);
            levels.set(visited.bin, level === undefined ? mean : 0.75 * level + 0.25 * mean);
            visited = null;
          }
          visited ??= { bin, values: [] };
          visited.values.push(value);
          visit(cells, profile, bins, bin, value);
        }
        for (let bin = 0; bin < bins; bin++)
          expect(levelOr(cells, profile, bins, bin, -7)).toBeCloseTo(levels.get(bin) ?? -7, 9);
        shiftProfile(cells, profile, bins, step);
        for (let bin = 0; bin < bins; bin++) {
          const level = levels.get(bin);
          expect(levelOr(cells, profile, bins, bin, -7)).toBeCloseTo(
            level === undefined ? -7 : level + step,
            9,
          );
        }
        expect([...cells.slice(0, profile), cells.at(-1)]).toEqual([0, 0, 0]);
      }),
    );
  });

  test("moves with a known step what is being counted, too", () => {
    const cells = cellsOf();
    for (const value of [10, 20]) visit(cells, profile, bins, 1, value);
    shiftProfile(cells, profile, bins, 100);
    visit(cells, profile, bins, 1, 135);
    visit(cells, profile, bins, 2, 0);
    expect(levelOr(cells, profile, bins, 1, 0)).toBeCloseTo((110 + 120 + 135) / 3, 12);
  });
});
