/** No rounding error outlives the points that caused it: after ten million pushes the fit is as good as a fresh one. */
import { describe, expect, test } from "bun:test";
import type { Forecast, Kernel, Series } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { exactLine } from "./exact-line.ts";
import { type HardStream, hardStreams } from "./hard-windows.ts";
import { bothKernels, forecastOf } from "./kernels.ts";

const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];

/** Compares with rational arithmetic on the same window. The slope's scale is that of the values over the window. */
function expectExact(forecast: Forecast, points: readonly [number, number][], what: string): void {
  const times = points.map(([t]) => t);
  const values = points.map(([, y]) => y);
  const exact = exactLine(times, values, forecast.targetSeconds);
  const spread = Math.max(...values) - Math.min(...values);
  const run = (times.at(-1) as number) - (times[0] as number);
  expectClose(forecast.slopePerSecond, exact.slopePerSecond, 1e-12, `${what}: slope`, spread / run);
  const reach = Math.abs(exact.slopePerSecond) * (forecast.targetSeconds - (times[0] as number));
  expectClose(forecast.value, exact.value, 1e-12, `${what}: forecast`, spread + reach);
}

function feed(series: Series, stream: HardStream, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const [t, y] = stream.point(i);
    series.push(t, y);
  }
}

const lastPoints = (stream: HardStream, end: number, count: number): [number, number][] =>
  Array.from({ length: count }, (_, i) => stream.point(end - count + i));

describe("digits against rational arithmetic", () => {
  test.each(hardStreams.map((stream) => [stream.name, stream] as const))(
    "at every push on %s",
    (_, stream) => {
      for (const windowPoints of [3, 4, 7, 50, 51]) {
        const series = wasm.createSeries({ windowPoints });
        for (let i = 0; i < 700; i++) {
          feed(series, stream, i, i + 1);
          if (i < windowPoints) continue;
          expectExact(
            forecastOf(series),
            lastPoints(stream, i + 1, windowPoints),
            `window ${windowPoints}, ${i}`,
          );
        }
        series.dispose();
      }
    },
  );

  test.each([1000, 1024])("in windows of %i points", (windowPoints) => {
    for (const stream of hardStreams) {
      const series = wasm.createSeries({ windowPoints });
      feed(series, stream, 0, 2777);
      expectExact(forecastOf(series), lastPoints(stream, 2777, windowPoints), stream.name);
      series.dispose();
    }
  });

  test("after ten million pushes, and the same bits in both kernels", () => {
    const pushes = 10_000_000;
    const stream = hardStreams[3] as HardStream;
    const pair = [wasm.createSeries(), js.createSeries()] as const;
    for (const series of pair) feed(series, stream, 0, pushes);
    const forecast = forecastOf(pair[0]);
    expect(forecastOf(pair[1])).toEqual(forecast);
    expectExact(forecast, lastPoints(stream, pushes, 50), "after 1e7 pushes");
    for (const series of pair) series.dispose();
  });

  test("a batch after a million ticks", () => {
    const batch = wasm.createBatch({ series: hardStreams.length });
    const ticks = 1_000_000;
    for (let i = 0; i < ticks; i++) {
      hardStreams.forEach((stream, s) => {
        batch.values[s] = stream.point(i)[1];
      });
      batch.tick(1.7e9 + i * 5);
    }
    hardStreams.forEach((stream, s) => {
      const points = lastPoints(stream, ticks, 50).map(([, y], i): [number, number] => [
        1.7e9 + (ticks - 50 + i) * 5,
        y,
      ]);
      expectExact(batch.forecast(s) as Forecast, points, stream.name);
    });
  });
});
