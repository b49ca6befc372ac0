/** A batch adds to its sums and takes away from them: what that costs is put right before it shows. */
import { describe, expect, test } from "bun:test";
import type { Batch } from "../../src/forecast/batch.ts";
import type { Forecast, Kernel } from "../../src/forecast/forecaster.ts";
import { expectExact } from "./exact-forecast.ts";
import { hardStreams } from "./hard-windows.ts";
import { bothKernels } from "./kernels.ts";

const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];
type Point = [tSeconds: number, value: number];

/** The points that a window of the last `count` ticks holds after tick `end`. */
const lastPoints = (pointAt: (i: number) => Point, end: number, count: number): Point[] =>
  Array.from({ length: count }, (_, i) => pointAt(end - count + 1 + i)).filter(([, y]) => Number.isFinite(y));

function tickAll(batch: Batch, [tSeconds, value]: Point): void {
  batch.values.fill(value);
  expect(batch.tick(tSeconds)).toBe("accepted");
}

describe("digits of a batch against rational arithmetic", () => {
  // 100 blocks: in every tick a few of them move, so that some series has just moved and another is about to.
  test.each(hardStreams.map((stream) => [stream.name, stream] as const))(
    "at every tick on %s",
    (_, stream) => {
      for (const windowPoints of [3, 4, 5, 6, 7, 8, 9, 16, 50, 51]) {
        const batch = wasm.createBatch({ series: 800, windowPoints, minPoints: 3 });
        for (let i = 0; i < 700; i++) {
          tickAll(batch, stream.point(i));
          if (i < 3) continue;
          const points = lastPoints(stream.point, i, Math.min(i + 1, windowPoints));
          for (const series of [(i * 37) % 800, 0, 799])
            expectExact(
              batch.forecast(series) as Forecast,
              points,
              `window ${windowPoints}, ${i}, ${series}`,
            );
        }
      }
    },
  );

  test.each([1000, 1024])("in windows of %i points, through several moves", (windowPoints) => {
    for (const stream of hardStreams) {
      const batch = wasm.createBatch({ series: 20, windowPoints });
      for (let i = 0; i < 7 * windowPoints; i++) {
        tickAll(batch, stream.point(i));
        if (i < windowPoints || i % 211 !== 0) continue;
        const points = lastPoints(stream.point, i, windowPoints);
        for (const series of [0, 9, 19])
          expectExact(batch.forecast(series) as Forecast, points, `${stream.name}, ${i}, ${series}`);
      }
    }
  });

  test.each(hardStreams.map((stream) => [stream.name, stream] as const))(
    "while values are missing and when they are back, on %s",
    (_, stream) => {
      const bad = [Number.NaN, Number.POSITIVE_INFINITY, -1e300];
      const pointAt = (i: number): Point => {
        const [tSeconds, value] = stream.point(i);
        return [tSeconds, i % 90 > 60 && i % 90 < 64 ? Number.NaN : value];
      };
      for (const windowPoints of [3, 9, 20]) {
        const batch = wasm.createBatch({ series: 30, windowPoints, minPoints: 3 });
        for (let i = 0; i < 400; i++) {
          const [tSeconds, value] = pointAt(i);
          tickAll(batch, [tSeconds, Number.isNaN(value) ? (bad[i % 3] as number) : value]);
          const points = lastPoints(pointAt, i, Math.min(i + 1, windowPoints));
          if (points.length < 3 || Number.isNaN(value)) continue;
          const forecast = batch.forecast(i % 30) as Forecast;
          expect(forecast.points).toBe(points.length);
          expectExact(forecast, points, `window ${windowPoints}, ${i}`);
        }
      }
    },
  );
});

test("a series that has to be summed afresh changes no bit of its neighbours", () => {
  const [calm, wild] = [wasm.createBatch({ series: 16 }), wasm.createBatch({ series: 16 })];
  for (let i = 0; i < 400; i++) {
    for (let s = 0; s < 16; s++) {
      const value = 40 + ((i * 7919 + s * 31) % 1009) / 100;
      calm.values[s] = value;
      wild.values[s] = s === 5 && i % 70 === 3 ? 1e12 : value;
    }
    for (const batch of [calm, wild]) batch.tick(i * 5);
    for (const s of [0, 4, 6, 7, 8])
      expect(wild.forecast(s), `series ${s} at ${i}`).toEqual(calm.forecast(s));
  }
});

test("both kernels give the same bits through ten thousand ticks of every hard stream", () => {
  const options = { series: hardStreams.length * 8, windowPoints: 50 };
  const pair = [js.createBatch(options), wasm.createBatch(options)] as const;
  for (let i = 0; i < 10_000; i++) {
    const values = hardStreams.map((stream) => stream.point(i)[1]);
    for (const batch of pair) {
      for (let s = 0; s < options.series; s++) batch.values[s] = values[s % values.length] as number;
      batch.tick(hardStreams[(i >> 11) % hardStreams.length]?.point(i)[0] ?? i);
    }
    if (i % 7 !== 0) continue;
    for (let s = i % 8; s < options.series; s += 8) expect(pair[1].forecast(s)).toEqual(pair[0].forecast(s));
  }
});
