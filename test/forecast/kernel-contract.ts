import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Kernel, Series, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { boundsItself } from "./contract-bounds.ts";
import { type Feed, fitsReferences, looksAhead } from "./contract-fit.ts";
import { forecastOf, seriesOf } from "./kernels.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** What any kernel must do; each implementation's test file runs it. */
export function kernelContract(name: string, createKernel: (seriesLimit?: number) => Promise<Kernel>): void {
  describe(`${name} kernel`, () => {
    let kernel: Kernel;
    const made: Series[] = [];
    const tracked = (series: Series): Series => {
      made.push(series);
      return series;
    };
    const fed = (times: number[], values: number[], options: Partial<SeriesOptions> = {}): Series =>
      tracked(seriesOf(kernel, times, values, options));

    beforeEach(async () => {
      kernel ??= await createKernel();
    });
    afterEach(() => {
      for (const series of made.splice(0)) series.dispose();
    });

    fitsReferences(fed);
    looksAhead(fed);
    averages(fed);
    widensWhenCold(fed, () => tracked(kernel.createSeries()));
    refusesPoints(() => tracked(kernel.createSeries()));
    boundsItself(createKernel, (options) => tracked(kernel.createSeries(options)));
  });
}

function averages(fed: Feed): void {
  test("the average starts at the first ready value and steps once an accepted point", () => {
    const series = fed(
      range(9).map((i) => i),
      [5, 9, 4, 7, 8, 2, 6, 6, 1],
    );
    expect(forecastOf(series).smoothed).toBe(1);
    series.push(9, 3);
    const first = forecastOf(series);
    expect(first.state).toBe("ready");
    expect(first.smoothed).toBe(first.value);
    series.push(9, 3);
    series.push(Number.NaN, 3);
    expect(forecastOf(series).smoothed).toBe(first.value);
    series.push(10, 8);
    const second = forecastOf(series);
    expectClose(second.smoothed, 0.7 * second.value + 0.3 * first.value, 1e-15, "smoothed");
  });

  test("reading the forecast does not move it", () => {
    const series = fed(
      range(20),
      range(20).map((i) => (i * 7) % 5),
    );
    const first = series.forecast();
    expect(series.forecast()).toEqual(first);
    expect(series.forecast()).toEqual(first);
  });

  test("an alpha of 1 follows the forecast without lag", () => {
    const forecast = forecastOf(
      fed(
        range(20),
        range(20).map((i) => (i * 7) % 5),
        { emaAlpha: 1 },
      ),
    );
    expect(forecast.smoothed).toBe(forecast.value);
  });
}

function widensWhenCold(fed: Feed, empty: () => Series): void {
  test("an empty series has no forecast", () => {
    expect(empty().forecast()).toBeNull();
  });

  // Half-widths derived by hand: t(0.975) is 4.302652729749464 for 2 increments and 2.262157162798205 for 9.
  test.each([
    ["one point", [40], [0], 100],
    ["two points", [40, 90], [0, 5], 100],
    ["three equal points: the floor", [40, 40, 40], [0, 5, 10], 1],
    ["three points moving by 1 in 4 s", [40, 41, 40], [0, 4, 8], 2 * 4.302652729749464 * Math.sqrt(300 / 4)],
    [
      "a steady rise, which counts as spread",
      [10, 12, 14],
      [0, 1, 2],
      2 * 4.302652729749464 * Math.sqrt(1200),
    ],
    ["uneven steps", [0, 3, 3], [0, 9, 10], 2 * 4.302652729749464 * Math.sqrt(150)],
  ])(
    "while cold with %s the interval is the stated one about the last value",
    (_, values, times, halfWidth) => {
      const forecast = forecastOf(fed(times, values));
      const last = values.at(-1) as number;
      expect(forecast).toMatchObject({ state: "cold", points: values.length, value: last, smoothed: last });
      expect(forecast.slopePerSecond).toBe(0);
      expectClose(forecast.lower, last - halfWidth, 1e-13, "lower", halfWidth);
      expectClose(forecast.upper, last + halfWidth, 1e-13, "upper", halfWidth);
      expectClose(forecast.residualDeviation, halfWidth, 1e-13, "residual deviation");
    },
  );

  test("becomes ready at minPoints and not before", () => {
    const states = range(12).map((i) => forecastOf(fed(range(i + 1), range(i + 1))).state);
    expect(states.indexOf("ready")).toBe(9);
    expect(forecastOf(fed(range(4), range(4), { minPoints: 4 })).state).toBe("ready");
  });

  test("a smaller window is ready when it is full, and one of two points never is", () => {
    expect(forecastOf(fed(range(5), range(5), { windowPoints: 5 })).state).toBe("ready");
    expect(forecastOf(fed(range(40), range(40), { windowPoints: 2 })).state).toBe("cold");
    expect(forecastOf(fed(range(40), range(40), { windowPoints: 1 })).state).toBe("cold");
  });

  test("the cold interval is in the value's unit", () => {
    const forecast = forecastOf(fed([0], [4e9], { coldHalfWidth: 12e9 }));
    expect([forecast.lower, forecast.upper]).toEqual([-8e9, 16e9]);
  });
}

function refusesPoints(empty: () => Series): void {
  test.each([
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
    [Number.NEGATIVE_INFINITY, 1],
    [100, Number.NaN],
    [100, Number.POSITIVE_INFINITY],
    [100, Number.NEGATIVE_INFINITY],
    [100, 1.1e100],
    [1.1e100, 1],
  ])("refuses the point (%p, %p) as not finite and forecasts as before", (tSeconds, value) => {
    const series = empty();
    for (const i of range(12)) series.push(i, (i * 3) % 5);
    const before = series.forecast();
    expect(series.push(tSeconds, value)).toBe("not-finite");
    expect(series.forecast()).toEqual(before);
    expect(series.refused).toEqual({ notFinite: 1, repeated: 0, backward: 0 });
  });

  test("refuses repeated and backward times, counts each, and goes on with the next", () => {
    const series = empty();
    const results = [5, 5, 5 + 1e-7, 4.999, 5 + 2e-6, 6, 5.5].map((tSeconds) => series.push(tSeconds, 1));
    expect(results).toEqual([
      ...(["accepted", "repeated", "repeated", "backward"] as const),
      ...(["accepted", "accepted", "backward"] as const),
    ]);
    expect(series.refused).toEqual({ notFinite: 0, repeated: 2, backward: 2 });
    expect(forecastOf(series).points).toBe(3);
  });

  test("the first time may be any, negative too", () => {
    const series = empty();
    expect(series.push(-5, 1)).toBe("accepted");
    expect(series.push(-6, 1)).toBe("backward");
    expect(series.push(0, 1)).toBe("accepted");
  });

  test("a reset in the middle of any block leaves a series as it was when new", () => {
    for (const pushes of [51, 62, 75, 76, 100, 110, 125]) {
      const [fresh, reused] = [empty(), empty()];
      for (const i of range(pushes)) reused.push(1000 + i, i % 2 ? 1e99 : i);
      reused.reset();
      for (const i of range(130)) {
        const point = [i * 5 + (i % 3) / 7, 40 + ((i * 37) % 11)] as const;
        expect(reused.push(...point)).toBe(fresh.push(...point));
        expect(reused.forecast(), `${pushes} pushes, then ${i}`).toEqual(fresh.forecast());
      }
      for (const series of [fresh, reused]) series.dispose();
    }
  });

  test("a reset forgets the window, the average and the time, and keeps the counts", () => {
    const series = empty();
    for (const i of range(30)) series.push(1000 + i, i);
    series.push(0, 1);
    series.reset();
    expect(series.forecast()).toBeNull();
    expect(series.push(3, 50)).toBe("accepted");
    expect(forecastOf(series)).toMatchObject({
      state: "cold",
      points: 1,
      value: 50,
      smoothed: 50,
      lower: -50,
    });
    for (const i of range(20)) series.push(10 + i, 50);
    expect(forecastOf(series)).toMatchObject({ value: 50, smoothed: 50, points: 21 });
    expect(series.refused).toEqual({ notFinite: 0, repeated: 0, backward: 1 });
  });
}
