/** Both kernels leave the same bits in every cell, whatever they are fed; and no cell ever holds anything but a number. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CELLS } from "../../assembly/adaptive/layout.ts";
import type { AdaptiveSeries } from "../../src/forecast/adaptive.ts";
import { gaussian, jsAdaptive, startSeconds, wasmAdaptive } from "./adaptive-streams.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

type Values = (random: SeededRandom, before: number, i: number) => number;

const values: Record<string, Values> = {
  noise: (random) => 50 + gaussian(random),
  "a random walk": (random, before) => before + gaussian(random),
  steps: (random, before) => (random.below(40) === 0 ? random.unit() * 100 : before),
  "a constant": () => 42.5,
  zeros: () => 0,
  "bytes about 1e9": (random) => 1e9 + 1e7 * gaussian(random),
  "tiny values": (random) => 1e-200 * random.unit(),
  "the largest values": (random) => 1e100 * (random.unit() - 0.5),
  "a constant that wakes": (random, _, i) => (i < 400 ? 30 : 30 + 10 * gaussian(random)),
  "negative values": (random) => -20 + 10 * gaussian(random),
};

/** The step to the next point, in seconds; the horizon is 300. */
const steps: Record<string, (random: SeededRandom) => number> = {
  "every 30 s": () => 30,
  jittered: (random) => 5 + 55 * random.unit(),
  "faster than a 64th of the horizon": () => 1,
  "slower than the horizon": () => 700,
  "with gaps": (random) => (random.below(60) === 0 ? 20_000 * random.unit() + 1 : 30),
};

const refused = [
  [0, Number.NaN],
  [30, Number.POSITIVE_INFINITY],
  [Number.NaN, 50],
  [-60, 50],
  [0, 50],
  [1e-7, 50],
] as const;

function expectSameBits(one: AdaptiveSeries, other: AdaptiveSeries, what: string): void {
  const [cells, others] = [one.save(), other.save()];
  const [bits, expected] = [new BigInt64Array(cells.buffer), new BigInt64Array(others.buffer)];
  expect([bits.length, expected.length], what).toEqual([CELLS, CELLS]);
  for (let i = 0; i < bits.length; i++) {
    if (bits[i] !== expected[i]) throw new Error(`${what}: cell ${i} is ${cells[i]} and ${others[i]}`);
    if (!Number.isFinite(cells[i])) throw new Error(`${what}: cell ${i} is ${cells[i]}`);
  }
}

const onBoth = <T>(
  pair: readonly AdaptiveSeries[],
  of: (series: AdaptiveSeries) => T,
  what: string,
): void => {
  const [one, other] = pair.map(of);
  if (!Object.is(one, other)) throw new Error(`${what}: ${one} and ${other}`);
};

/** What comes between two points now and then. */
function disturb(random: SeededRandom, pair: readonly AdaptiveSeries[], t: number, what: string): void {
  const shift = random.below(100) === 0 ? random.pick([-5, 3.7, 0, Number.NaN]) : null;
  const backward = random.below(200) === 0 ? random.pick([-3_600, -0.25, Number.NaN]) : null;
  const [dt, value] = random.pick(refused);
  const exchange = random.below(150) === 0 ? pair.map((series) => series.save()).reverse() : [];
  const refuses = random.below(20) === 0;
  for (const [i, series] of pair.entries()) {
    if (shift !== null) series.shift(shift);
    if (backward !== null) series.moveClock(backward);
    if (refuses && backward === null && series.push(t + dt, value, value) === "accepted")
      throw new Error(`${what}: not refused`);
    const memory = exchange[i];
    if (memory) series.restore(memory);
    if (refuses) series.trend();
  }
}

function runBoth(seed: number, next: Values, step: (random: SeededRandom) => number, what: string): void {
  const random = seededRandom(seed);
  const options = { horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 };
  const pair = [wasmAdaptive.createSeries(options), jsAdaptive.createSeries(options)] as const;
  let t = random.pick([0, startSeconds, startSeconds + 0.123, -1e6]);
  let value = 50;
  for (let i = 0; i < 900; i++) {
    t += step(random);
    value = next(random, value, i);
    const line = value + (random.unit() - 0.5) * value;
    onBoth(pair, (series) => series.push(t, value, line), `${what}, push ${i}`);
    disturb(random, pair, t, `${what}, after push ${i}`);
    if (i % 100 === 99 || i < 3) expectSameBits(pair[0], pair[1], `${what}, after push ${i}`);
  }
}

describe("the adaptive kernels leave the same bits in all cells", () => {
  test.each(Object.entries(values))("on %s", (name, next) => {
    const cadences = Object.entries(steps);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (seed) => {
        for (const [cadence, step] of cadences) runBoth(seed, next, step, `${name} ${cadence}, seed ${seed}`);
      }),
      { numRuns: 3 },
    );
  });

  test("with any horizon and origin of time", () => {
    const horizon = fc.constantFrom(1e-9, 1, 60, 86_400, 1e9);
    fc.assert(
      fc.property(fc.integer(), horizon, fc.constantFrom(0, 1.7e9, 1e15), (seed, horizonSeconds, origin) => {
        const random = seededRandom(seed);
        const options = { horizonSeconds, threshold: 80, coldHalfWidth: 1e12 };
        const pair = [wasmAdaptive.createSeries(options), jsAdaptive.createSeries(options)] as const;
        for (let i = 1; i < 300; i++) {
          const value = 50 + gaussian(random);
          for (const series of pair) series.push(origin + i * 30, value, value);
        }
        expect(pair[0].forecast()?.points).toBeGreaterThan(0);
        expectSameBits(pair[0], pair[1], `seed ${seed}, horizon ${horizonSeconds} s from ${origin}`);
      }),
      { numRuns: 40 },
    );
  });
});
