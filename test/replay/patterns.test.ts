/** Patterns and curves: straight between their knots, the same in whatever order they are asked. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Curve, flat, noise, together } from "../../src/replay/curve.ts";
import { diurnal, leak, pulses, sawtooth } from "../../src/replay/patterns.ts";
import { recordedCurve } from "../../src/replay/recorded-curve.ts";
import { unitOf } from "../../src/replay/seeded.ts";

const hourMs = 3_600_000;
const startMs = Date.UTC(2026, 0, 1);

const pulse = { everyMs: hourMs, chance: 0.7, bytes: [100, 900], riseMs: [500, 9_000], fallMs: 700 } as const;

const curves: Record<string, (seed: number) => Curve> = {
  flat: () => flat(7),
  noise: (seed) => noise(seed, 40),
  leak: (seed) => leak(seed, [100, 5_000]),
  pulses: (seed) => pulses(seed, { ...pulse, holdMs: [1_000, hourMs / 2] }),
  sawtooth: (seed) => sawtooth(seed, { periodMs: 60_001 + (seed % 1_000), bytes: [50, 500] }),
  diurnal: (seed) => diurnal(1_000, seed % (24 * hourMs)),
  recorded: (seed) => {
    const times = Float64Array.from({ length: 400 }, (_, i) => startMs + i * 30_000 + (i % 7) * 11);
    return recordedCurve(
      times,
      times.map((_, i) => unitOf(seed, i) * 1_000),
    );
  },
  together: (seed) => together([flat(50), noise(seed, 5), leak(seed, [10, 20]), diurnal(30, 0)]),
};

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const offsetMs = fc.integer({ min: 0, max: 3 * hourMs });

describe.each(Object.entries(curves))("%s", (_, make) => {
  test("is straight between its knots", () => {
    fc.assert(
      fc.property(seed, offsetMs, fc.double({ min: 0, max: 1, noNaN: true }), (chosen, offset, share) => {
        const curve = make(chosen);
        const life = { bornMs: startMs, index: chosen % 5 };
        const from = startMs + offset;
        const to = Math.min(curve.knotAfter(from, life), from + hourMs);
        expect(to).toBeGreaterThan(from);
        expect(Number.isInteger(to)).toBe(true);
        const at = from + share * (to - from);
        const [first, last] = [curve.bytesAt(from, life), curve.bytesAt(to, life)];
        expect(curve.bytesAt(at, life)).toBeCloseTo(first + share * (last - first), 4);
      }),
    );
  });

  test("answers the same in whatever order it is asked", () => {
    fc.assert(
      fc.property(seed, fc.array(offsetMs, { minLength: 2, maxLength: 20 }), (chosen, offsets) => {
        const life = { bornMs: startMs, index: 1 };
        const asked = make(chosen);
        const sorted = offsets.toSorted((a, b) => a - b);
        const inOrder = new Map(sorted.map((offset) => [offset, asked.bytesAt(startMs + offset, life)]));
        for (const offset of offsets)
          expect(make(chosen).bytesAt(startMs + offset, life)).toBe(inOrder.get(offset) as number);
        for (const offset of offsets)
          expect(asked.bytesAt(startMs + offset, life)).toBe(inOrder.get(offset) as number);
      }),
    );
  });
});

test("chance is spread evenly, and each key has its own", () => {
  const drawn = Array.from({ length: 20_000 }, (_, i) => unitOf(42, i, 3));
  const mean = drawn.reduce((sum, each) => sum + each, 0) / drawn.length;
  // The standard error of the mean of 20,000 uniform numbers is 0.002.
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
  expect(new Set(drawn).size).toBeGreaterThan(19_990);
  // Neighbours, by either key, are not alike: correlation has a standard error of 0.007.
  for (const other of [
    (i: number) => unitOf(42, i + 1, 3),
    (i: number) => unitOf(42, i, 4),
    (i: number) => unitOf(43, i, 3),
  ]) {
    const products = drawn.reduce((sum, each, i) => sum + (each - 0.5) * (other(i) - 0.5), 0);
    expect(Math.abs((12 * products) / drawn.length)).toBeLessThan(0.04);
  }
});

test("a restarted leak begins anew, with a rate of its own", () => {
  const curve = leak(3, [1_000, 2_000]);
  const at = startMs + hourMs;
  const first = curve.bytesAt(at, { bornMs: startMs, index: 0 });
  expect(first).toBeGreaterThan(1_000);
  expect(curve.bytesAt(at, { bornMs: at, index: 1 })).toBe(0);
  expect(curve.bytesAt(at + hourMs, { bornMs: at, index: 1 })).not.toBeCloseTo(first, 3);
});
