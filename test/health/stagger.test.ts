import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededUnit, staggeredOffsetsMs } from "../../src/health/stagger.ts";

test.each([4, 40, 400])("%d checks fall evenly over the interval", (count) => {
  const intervalMs = 5_000;
  const unit = seededUnit(7);
  const bins = 4;
  const rounds = 50;
  const histogram = new Array<number>(bins).fill(0);
  for (let round = 0; round < rounds; round++)
    for (const offset of staggeredOffsetsMs(count, intervalMs, unit)) {
      const bin = Math.floor((offset / intervalMs) * bins);
      histogram[bin] = (histogram[bin] ?? 0) + 1;
    }
  expect(histogram).toEqual(new Array<number>(bins).fill((rounds * count) / bins));
});

test("each check stays in the first quarter of its own slot, and the seed repeats it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 100, max: 3_600_000 }),
      fc.integer(),
      (count, ms, seed) => {
        const offsets = staggeredOffsetsMs(count, ms, seededUnit(seed));
        expect(offsets).toEqual(staggeredOffsetsMs(count, ms, seededUnit(seed)));
        const slot = ms / count;
        offsets.forEach((offset, index) => {
          expect(offset).toBeGreaterThanOrEqual(index * slot);
          expect(offset).toBeLessThanOrEqual((index + 0.25) * slot);
        });
      },
    ),
  );
});

test("no plugin, no check", () => {
  expect(staggeredOffsetsMs(0, 5_000, seededUnit(1))).toEqual([]);
});
