/** Which sample judges a forecast: gaps, the tolerance of one step, the first 60 points, the end. */

import { describe, expect, test } from "bun:test";
import { medianStepSeconds, type SkippedCounts, targetsOf } from "../../src/forecast/score-targets.ts";

/** The targets from point 60 on, and what was skipped. */
function judged(times: readonly number[], horizonSeconds = 300) {
  const skipped: SkippedCounts = { history: 0, gap: 0, end: 0, noForecast: 0 };
  const targets = targetsOf(Float64Array.from(times), horizonSeconds, skipped);
  return { history: [...targets.slice(0, 60)], from60: [...targets.slice(60)], skipped };
}

const everyMinute = (points: number): number[] => Array.from({ length: points }, (_, i) => i * 60);

test("the first 60 points are history, the last five look past the end", () => {
  const { history, from60, skipped } = judged(everyMinute(70));
  expect(history).toEqual(Array(60).fill(-1));
  expect(from60).toEqual([65, 66, 67, 68, 69, -1, -1, -1, -1, -1]);
  expect(skipped).toEqual({ history: 60, gap: 0, end: 5, noForecast: 0 });
});

test("a series of 60 points or fewer is all history", () => {
  expect(judged(everyMinute(60)).skipped).toEqual({ history: 60, gap: 0, end: 0, noForecast: 0 });
  expect(judged(everyMinute(7)).skipped).toEqual({ history: 7, gap: 0, end: 0, noForecast: 0 });
  expect(judged([]).skipped).toEqual({ history: 0, gap: 0, end: 0, noForecast: 0 });
});

describe("point 61, whose target is the time 3,660 + 300, where the step is 60 s", () => {
  /** Samples each minute but for those of 3,960, in whose place `late` comes. */
  const withLate = (late: readonly number[]): number[] => [
    ...everyMinute(66),
    ...late,
    ...Array.from({ length: 10 }, (_, i) => 4_020 + i * 60),
  ];
  test.each<[string, number[], number, number]>([
    ["is judged by a sample at its target", [3_960], 66, 0],
    ["is judged by one 59 s later", [4_019], 66, 0],
    ["is judged by the first of two", [3_970, 3_980], 66, 0],
    ["is not judged by one 60 s later: that is a gap", [], -1, 1],
    ["is not judged by one a second too early", [3_959], -1, 1],
  ])("%s", (_, late, target, gap) => {
    const { from60, skipped } = judged(withLate(late));
    expect(from60[1]).toBe(target);
    expect(skipped.gap).toBe(gap);
  });
});

test("times in decimal fractions of seconds meet their targets", () => {
  // 0.1 + 0.2 is more than 0.3, so that exact comparison would take the sample after it.
  const { from60, skipped } = judged(
    Array.from({ length: 100 }, (_, i) => i / 10),
    0.2,
  );
  expect(from60.slice(0, 38)).toEqual(Array.from({ length: 38 }, (_, i) => 62 + i));
  expect(skipped).toMatchObject({ gap: 0, end: 2 });
});

test("a horizon shorter than a step is judged by the next sample", () => {
  expect(judged(everyMinute(63), 10).from60).toEqual([61, 62, -1]);
});

test.each<[number[], number]>([
  [[], 0],
  [[7], 0],
  [[0, 5], 5],
  [[0, 5, 15], 7.5],
  [[0, 5, 10, 1_000], 5],
])("the median step of %j is %d s", (times, step) => {
  expect(medianStepSeconds(Float64Array.from(times))).toBe(step);
});
