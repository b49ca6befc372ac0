/** No rounding error outlives the points that caused it: after ten million pushes the fit is as good as a fresh one. */
import { describe, expect, test } from "bun:test";
import type { Forecast, Kernel, Series } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { expectExact } from "./exact-forecast.ts";
import { type HardStream, hardStreams } from "./hard-windows.ts";
import { bothKernels, forecastOf } from "./kernels.ts";
import { norris } from "./norris.ts";

const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];

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

  test("on NIST's Norris, whose repeated x come 2 µs apart since a repeated time is refused", () => {
    const points = norris.map(([x, y]): [number, number] => [x, y]).sort(([a], [b]) => a - b);
    for (let i = 1; i < points.length; i++) {
      const [before, point] = [points[i - 1], points[i]] as [[number, number], [number, number]];
      if (point[0] - before[0] < 1e-6) point[0] = before[0] + 2e-6;
    }
    const series = wasm.createSeries({ windowPoints: 36 });
    for (const [x, y] of points) series.push(x, y);
    const forecast = forecastOf(series);
    expectExact(forecast, points, "Norris");
    expectClose(forecast.slopePerSecond, 1.00211681802045, 1e-8, "certified slope");
    const intercept = forecast.value - forecast.slopePerSecond * forecast.targetSeconds;
    expectClose(intercept, -0.262323073774029, 1e-6, "certified intercept");
    expectClose(forecast.residualDeviation, 0.884796396144373, 1e-6, "certified deviation");
    series.dispose();
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
