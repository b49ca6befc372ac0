/** What a point tells, against features taken anew from all points each time. */
import { expect, test } from "bun:test";
import * as layout from "../../assembly/adaptive/layout.ts";
import { gaussian, jsAdaptive, newestRow, startSeconds } from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";
import { seededRandom } from "./seeded-random.ts";

type Points = readonly (readonly [tSeconds: number, value: number])[];

const upperMedian = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** An exponential average that begins as a plain one: its rate is never less than 1 / points. */
function average(values: readonly number[], over: number): number {
  let mean = 0;
  for (const [i, value] of values.entries()) mean += Math.max(2 / (over + 1), 1 / (i + 1)) * (value - mean);
  return mean;
}

const minuteOf = (t: number): number => new Date(t * 1000).getUTCMinutes();
const twoMinutesOf = (t: number): number =>
  Math.floor((new Date(t * 1000).getUTCHours() * 60 + minuteOf(t)) / 2);
function halfHourOf(t: number): string {
  const day = new Date(t * 1000).getUTCDay();
  return `${day === 0 || day === 6 ? "weekend" : "weekday"} ${Math.floor(twoMinutesOf(t) / 15)}`;
}

/** The levels by bin, from the visits that have ended before the newest point. */
function levelsOf(points: Points, bin: (t: number) => number | string): Map<number | string, number> {
  const levels = new Map<number | string, number>();
  let visit: number[] = [];
  for (const [i, [t, value]] of points.entries()) {
    visit.push(value);
    const next = points[i + 1];
    if (next === undefined || bin(next[0]) === bin(t)) continue;
    const mean = visit.reduce((sum, one) => sum + one, 0) / visit.length;
    const level = levels.get(bin(t));
    levels.set(bin(t), level === undefined ? mean : level + (mean - level) / 4);
    visit = [];
  }
  return levels;
}

/** What a profile changes until the horizon, and how far it then lies from the newest value; 0 where unknown. */
function periodic(points: Points, bin: (t: number) => number | string): [number, number] {
  const [t, value] = points.at(-1) as [number, number];
  // The newest point is counted after its features are taken: its visit ends no other yet.
  const levels = levelsOf(points.slice(0, -1), bin);
  const then = levels.get(bin(t + 300)) ?? value;
  return [then - (levels.get(bin(t)) ?? then), then - value];
}

/** The 22 features before they are scaled. */
function naiveFeatures(points: Points): number[] {
  const values = points.map(([, value]) => value);
  const [t, value] = points.at(-1) as [number, number];
  const differences = Array.from({ length: 10 }, (_, back) => {
    const [later, earlier] = [values.at(-1 - back), values.at(-2 - back)];
    return later === undefined || earlier === undefined ? 0 : later - earlier;
  });
  const knowsWeek = t - (points[0]?.[0] as number) >= 7 * 86_400;
  return [
    ...[4, 16, 64].map((over) => value - average(values, over)),
    value - upperMedian(values.slice(-50)),
    ...differences,
    value - upperMedian(values.slice(-200)),
    ...[256, 1024].map((over) => value - average(values, over)),
    ...periodic(points, minuteOf),
    ...periodic(points, twoMinutesOf),
    knowsWeek ? periodic(points, halfHourOf)[1] : 0,
  ];
}

/** The features of the newest forecast. */
function newestFeatures(cells: Float64Array): Float64Array {
  const from = newestRow(cells) + layout.PENDING_FEATURES;
  return cells.slice(from, from + layout.FEATURES);
}

test.each([
  // The second knows a week, and no difference is taken over a gap.
  ["every 50 s for 20 h", 50, 1_440],
  ["every 10 minutes for 9 days", 600, 1_296],
])("%s, each is its distance from the newest value over its root mean square", (_, step, count) => {
  const random = seededRandom(step);
  const series = jsAdaptive.createSeries({ horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 });
  const points: [number, number][] = [];
  const powers = new Array<number>(22).fill(0);
  for (let i = 0; i < count; i++) {
    const t = startSeconds + 3 * 86_400 - 1_800 + i * step;
    points.push([t, 50 + 10 * Math.sin(i / 50) + gaussian(random)]);
    series.push(t, (points.at(-1) as [number, number])[1], 50);
    const naive = naiveFeatures(points);
    const rate = Math.max(0.01, 1 / (i + 1));
    naive.forEach((feature, k) => {
      powers[k] = (powers[k] as number) + rate * (feature ** 2 - (powers[k] as number));
    });
    if (i % 40 !== 0 && i < count - 20) continue;
    const [cells, row] = [series.save(), newestRow(series.save())];
    const bins = [cells[row + layout.PENDING_HOUR], cells[row + layout.PENDING_DAY]];
    expect(bins, "bins of the target").toEqual([minuteOf(t + 300), twoMinutesOf(t + 300)]);
    newestFeatures(cells).forEach((feature, k) => {
      const expected = (naive[k] as number) / (Math.sqrt(powers[k] as number) + 1e-9);
      expectClose(feature, expected, 1e-6, `seed ${step}, point ${i}, feature ${k}`, 1);
    });
  }
});

test("a gap longer than the horizon and than five usual steps leaves no difference; a shorter one does", () => {
  for (const [gap, known] of [
    [299, true],
    [301, false],
  ] as const) {
    const series = jsAdaptive.createSeries({ horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 });
    for (let i = 0; i < 100; i++) series.push(startSeconds + i * 30, 50 + (i % 3), 50);
    series.push(startSeconds + 99 * 30 + gap, 70, 50);
    const difference = newestFeatures(series.save())[layout.FIRST_DIFFERENCE] as number;
    expect(difference !== 0, `after ${gap} s`).toBe(known);
  }
});
