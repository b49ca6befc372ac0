import { expect, test } from "bun:test";
import {
  DisposedSeriesError,
  type Kernel,
  type Series,
  SeriesLimitError,
  type SeriesOptions,
} from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { forecastOf } from "./kernels.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Options, series and their memory have limits, and series do not reach into each other. */
export function boundsItself(
  createKernel: (seriesLimit?: number) => Promise<Kernel>,
  create: (options: Partial<SeriesOptions>) => Series,
): void {
  test.each([
    [{ windowPoints: 0 }, "windowPoints"],
    [{ windowPoints: 1025 }, "windowPoints"],
    [{ windowPoints: 2.5 }, "windowPoints"],
    [{ minPoints: 2 }, "minPoints"],
    [{ minPoints: 51 }, "minPoints"],
    [{ emaAlpha: 0 }, "emaAlpha"],
    [{ emaAlpha: 1.01 }, "emaAlpha"],
    [{ coldHalfWidth: 0 }, "coldHalfWidth"],
    [{ coldHalfWidth: Number.NaN }, "coldHalfWidth"],
    [{ horizonSeconds: 0 }, "horizonSeconds"],
    [{ horizonSeconds: Number.POSITIVE_INFINITY }, "horizonSeconds"],
  ])("refuses the options %j and names %s", (options, named) => {
    expect(() => create(options)).toThrow(RangeError);
    expect(() => create(options)).toThrow(named);
  });

  test("gives the documented defaults", () => {
    expect(create({}).options).toEqual({
      windowPoints: 50,
      minPoints: 10,
      emaAlpha: 0.7,
      coldHalfWidth: 100,
      horizonSeconds: 300,
    });
  });

  test("holds as many series as it was made for; a disposed one makes room and starts empty", async () => {
    const small = await createKernel(3);
    const held = range(3).map(() => small.createSeries());
    for (const series of held) for (const i of range(20)) series.push(i, i);
    held[1]?.push(0, 0);
    expect(() => small.createSeries()).toThrow(SeriesLimitError);
    held[1]?.dispose();
    held[1]?.dispose();
    const fresh = small.createSeries();
    expect([fresh.forecast(), fresh.forecastValue()]).toEqual([null, null]);
    expect(held[2]?.forecastValue()).toBe(held[2]?.forecast()?.value as number);
    expect(fresh.refused).toEqual({ notFinite: 0, repeated: 0, backward: 0 });
    expect(() => small.createSeries()).toThrow(SeriesLimitError);
    expect(() => held[1]?.push(30, 1)).toThrow(DisposedSeriesError);
    expect(() => held[1]?.forecast()).toThrow(DisposedSeriesError);
    expect(() => held[1]?.forecastValue()).toThrow(DisposedSeriesError);
    expect(() => held[1]?.reset()).toThrow(DisposedSeriesError);
  });

  test("series do not touch each other", async () => {
    const small = await createKernel(3);
    const [left, middle, right] = range(3).map(() => small.createSeries({ windowPoints: 1024 })) as [
      Series,
      Series,
      Series,
    ];
    for (const i of range(2100)) {
      left.push(i, 1);
      middle.push(i, i);
      right.push(i, -1);
    }
    expect(forecastOf(left)).toMatchObject({ value: 1, slopePerSecond: 0, residualDeviation: 0 });
    expect(forecastOf(right)).toMatchObject({ value: -1, slopePerSecond: 0, residualDeviation: 0 });
    expectClose(forecastOf(middle).value, 2399, 1e-12, "forecast");
  });

  test.each([0, -1, 1.5, 4097])("refuses to be made for %p series", async (seriesLimit) => {
    const failure = await createKernel(seriesLimit).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(RangeError);
  });
}
