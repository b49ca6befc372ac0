/** Scoring several methods on several series: the same points for all, each series afresh, pooled without weights. */

import { describe, expect, test } from "bun:test";
import { canBeScored, type ScoredSeries, scoreMethods } from "../../src/forecast/score.ts";
import { calibratedSeries, scoreRatios } from "../../src/forecast/score-summary.ts";
import type { MethodFactory, PointForecast } from "../../src/forecast/scored-methods.ts";

/** Points a minute apart, with the horizon five later. */
function series(sys: string, seg: string, values: readonly number[], file = "trace.csv"): ScoredSeries {
  const tSeconds = Float64Array.from(values, (_, i) => i * 60);
  return { file, sys, seg, tSeconds, values: Float64Array.from(values) };
}

/** What a method answers at its n-th point (from 0) of a series, whose value is `value`. */
type Answer = (point: number, value: number) => PointForecast | null;

function method(name: string, answer: Answer): MethodFactory & { live: number; made: number } {
  const factory = {
    name,
    live: 0,
    made: 0,
    create: () => {
      let [point, newest] = [-1, 0];
      factory.live++;
      factory.made++;
      return {
        push: (_: number, value: number) => {
          point++;
          newest = value;
        },
        forecast: () => answer(point, newest),
        dispose: () => void factory.live--,
      };
    },
  };
  return factory;
}

/** The newest value and `bias`, with an interval of ±`half`. */
const offBy = (bias: number, half: number): Answer => {
  return (_, value) => ({ value: value + bias, lower: value + bias - half, upper: value + bias + half });
};

const score = (all: readonly ScoredSeries[], methods: readonly MethodFactory[]) =>
  scoreMethods(all, { methods, horizonSeconds: 300, nowNs: () => 0 });

const flat = (points: number, value = 50): number[] => Array(points).fill(value);

test("a forecast counts from the 61st point on, for the value five minutes later", () => {
  // Points 60, 61 and 62 are judged by points 65, 66 and 67: 50, 53 and 58.
  const values = [...flat(66), 53, 58];
  const { overall, skipped } = score([series("a", "0", values)], [method("still", offBy(0, 5))]);
  expect(overall.still).toEqual({
    mae: 11 / 3,
    rmse: Math.sqrt((0 + 9 + 64) / 3),
    p95: expect.closeTo(7.5, 12), // place 1.9: 3 + 0.9 * 5
    coverage: 2 / 3,
    width: 10,
    winkler: expect.closeTo(10 + (40 * 3) / 3, 12),
    n: 3,
  });
  expect(skipped).toEqual({ history: 60, gap: 0, end: 5, noForecast: 0 });
});

describe("a point at which one method has no finite forecast", () => {
  const lacking: [string, PointForecast | null][] = [
    ["none", null],
    ["NaN", { value: Number.NaN, lower: 0, upper: 1 }],
    ["an infinite upper end", { value: 0, lower: 0, upper: Number.POSITIVE_INFINITY }],
    ["an infinite lower end", { value: 0, lower: Number.NEGATIVE_INFINITY, upper: 1 }],
  ];
  test.each(lacking)("%s: counts for none", (_, answer) => {
    const values = [...flat(66), 53, 58];
    const whole = method("whole", offBy(0, 5));
    const lacks = method("lacks", (point, value) => (point === 62 ? answer : offBy(1, 5)(point, value)));
    const { overall, skipped } = score([series("a", "0", values)], [whole, lacks]);
    expect([overall.whole?.n, overall.whole?.mae, overall.lacks?.n, overall.lacks?.mae]).toEqual([
      2,
      3 / 2,
      2,
      (1 + 2) / 2,
    ]);
    expect(skipped.noForecast).toBe(1);
  });
});

test("every series starts afresh, is pooled point by point, and is given back", () => {
  // Each answers the number of points that it has seen in this series less one: 60, 61, …
  const counting = method("counting", (point) => ({ value: point, lower: point, upper: point }));
  const all = [
    series("a", "0", flat(66, 60)), // point 60 alone: no error
    series("b", "0", flat(68, 60)), // points 60, 61, 62: errors 0, 1, 2
    series("a", "1", flat(67, 60)), // points 60, 61: errors 0, 1
    series("c", "0", flat(20, 60)), // none
  ];
  const { overall, systems, points } = score(all, [counting]);
  expect([counting.made, counting.live, points]).toEqual([4, 0, 221]);
  expect([overall.counting?.n, overall.counting?.mae]).toEqual([6, 4 / 6]);
  expect(systems.map(({ sys, points: own }) => [sys, own])).toEqual([
    ["a", 133],
    ["b", 68],
    ["c", 20],
  ]);
  expect(systems.map(({ methods }) => methods.counting?.n)).toEqual([3, 3, 0]);
  expect(systems[0]?.methods.counting?.mae).toBeCloseTo(1 / 3, 12);
  expect(systems[0]?.series).toEqual([
    { seg: "0", points: 66, scored: 1, coverage: { counting: 1 } },
    { seg: "1", points: 67, scored: 2, coverage: { counting: 1 / 2 } },
  ]);
  expect(systems[2]?.series[0]?.coverage.counting).toBeNaN();
});

test("systems of one name in two files are two", () => {
  const all = [series("0", "0", flat(70), "a.csv"), series("0", "0", flat(70), "b.csv")];
  const { systems } = score(all, [method("still", offBy(0, 1))]);
  expect(systems.map(({ file, sys }) => [file, sys])).toEqual([
    ["a.csv", "0"],
    ["b.csv", "0"],
  ]);
});

test("ratios are to ols_ema, last and ols; to a perfect method there is none", () => {
  const methods = [
    method("ols", offBy(4, 1)), // width 2, 3 outside: Winkler 122
    method("ols_ema", offBy(3, 1)),
    method("last", offBy(0, 1)),
    method("new", offBy(1, 2)), // width 4, within: Winkler 4
  ];
  const report = score([series("a", "0", flat(70))], methods);
  expect(scoreRatios(report).new).toEqual({
    maeToOlsEma: 1 / 3,
    maeToLast: null,
    winklerToOls: expect.closeTo(4 / 122, 12),
  });
  expect(scoreRatios(score([series("a", "0", flat(70))], [method("new", offBy(1, 2))])).new).toEqual({
    maeToOlsEma: null,
    maeToLast: null,
    winklerToOls: null,
  });
});

test("a series is calibrated where the interval holds 93 to 97 % of the values", () => {
  // 100 points are judged in each; a method misses the last `misses` of them.
  const missing = (misses: number) =>
    method(`${misses}`, (point, v) => offBy(point >= 160 - misses ? 9 : 0, 1)(point, v));
  const report = score(
    [series("a", "0", flat(165)), series("a", "1", flat(165)), series("a", "2", flat(30))],
    [2, 3, 5, 7, 8].map(missing),
  );
  const calibrated = calibratedSeries(report);
  expect([2, 3, 5, 7, 8].map((misses) => calibrated[misses]?.within)).toEqual([0, 2, 2, 2, 0]);
  expect(calibrated[5]).toEqual({ within: 2, of: 2, share: 1 });
});

test("each method's own time is measured, and neither the warm-up's nor the scoring's", () => {
  let nowNs = 0;
  const costing = (name: string, ns: number) =>
    method(name, (point, value) => {
      nowNs += ns;
      return offBy(0, 1)(point, value);
    });
  const methods = [costing("quick", 10), costing("slow", 700)];
  const all = [series("a", "0", flat(70)), series("b", "0", flat(90))];
  const report = scoreMethods(all, { methods, horizonSeconds: 300, nowNs: () => nowNs, warmUpTicks: 500 });
  expect(report.nsPerTick).toEqual({ quick: 10, slow: 700 });
  expect(report.overall.quick?.n).toBe(5 + 25);
  expect(methods.map(({ live }) => live)).toEqual([0, 0]);
});

test("progress rises to the whole, method by method", () => {
  const heard: [string, number, number][] = [];
  scoreMethods([series("a", "0", flat(70)), series("b", "0", flat(30))], {
    methods: [method("x", offBy(0, 1)), method("y", offBy(0, 1))],
    horizonSeconds: 300,
    nowNs: () => 0,
    onProgress: (name, done, of) => heard.push([name, done, of]),
  });
  expect(heard).toEqual([
    ["x", 0, 200],
    ["y", 70, 200],
    ["x", 140, 200],
    ["y", 170, 200],
  ]);
});

test("an interval that ends before it begins is the method's mistake", () => {
  const wrong = method("wrong", () => ({ value: 0, lower: 1, upper: -1 }));
  expect(() => score([series("a", "0", flat(70))], [wrong])).toThrow("wrong: the interval [1, -1] ends");
  expect(wrong.live).toBe(0);
});

test.each<[number, number, boolean]>([
  [60, 300, false],
  [65, 300, false],
  [66, 300, true],
  [61, 300, false],
  [62, 60, true],
])("%d points a minute apart, %d s ahead: can be scored %p", (points, horizonSeconds, expected) => {
  expect(canBeScored(series("a", "0", flat(points)).tSeconds, horizonSeconds)).toBe(expected);
});
