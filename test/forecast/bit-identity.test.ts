import { describe, expect, test } from "bun:test";
import type { Forecast, Kernel, Series, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { bothKernels } from "./kernels.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];

const hostileValues = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e308,
  -1e308,
  1e100,
  -1e100,
  1.0000001e100,
  5e-324,
  -5e-324,
  2.2e-308,
  0,
  -0,
  1,
  Number.MAX_SAFE_INTEGER,
  Number.EPSILON,
] as const;

const bits = new BigUint64Array(1);
const double = new Float64Array(bits.buffer);
function bitsOf(value: number): bigint {
  double[0] = value;
  return bits[0] as bigint;
}

const numbers = [
  "points",
  "atSeconds",
  "targetSeconds",
  "value",
  "smoothed",
  "lower",
  "upper",
  "slopePerSecond",
  "residualDeviation",
] as const satisfies readonly (keyof Forecast)[];

function expectSameBits(one: Forecast | null, other: Forecast | null, what: string): void {
  if (one === null || other === null) {
    expect(one, what).toBe(other);
    return;
  }
  if (one.state !== other.state) expect(one.state, what).toBe(other.state);
  for (const field of numbers) {
    if (bitsOf(one[field]) !== bitsOf(other[field]))
      throw new Error(`${what}: ${field} is ${one[field]} in js and ${other[field]} in wasm`);
    if (!Number.isFinite(one[field])) throw new Error(`${what}: ${field} is ${one[field]}`);
  }
  if (!(one.lower <= one.value && one.value <= one.upper))
    throw new Error(`${what}: ${one.value} lies outside ${one.lower}..${one.upper}`);
}

function randomOptions(random: SeededRandom): Partial<SeriesOptions> {
  const windowPoints = random.pick([1, 2, 3, 4, 5, 10, 50, 51, 200, 1024]);
  const most = Math.max(3, Math.min(windowPoints, 40));
  return {
    windowPoints,
    minPoints: 3 + random.below(most - 2),
    emaAlpha: random.pick([0.7, 1, 1e-9, random.unit() || 1]),
    coldHalfWidth: random.pick([100, 1e-300, 1e12, 1e100]),
    horizonSeconds: random.pick([300, 1e-9, 1, 86400, 1e9]),
  };
}

/** Feeds both the same points, kind after kind, and compares after each; answers the points fed. */
function runBoth(
  random: SeededRandom,
  pushes: number,
  next: (random: SeededRandom, t: number) => [number, number],
): number {
  const options = randomOptions(random);
  const pair: [Series, Series] = [js.createSeries(options), wasm.createSeries(options)];
  let t = random.pick([0, 1.7e9, 1.7e12, -1e6, 1e15]);
  for (let i = 0; i < pushes; i++) {
    const [tSeconds, value] = next(random, t);
    const what = `seed ${random.seed}, ${JSON.stringify(options)}, push ${i} of (${tSeconds}, ${value})`;
    const result = pair[0].push(tSeconds, value);
    if (result !== pair[1].push(tSeconds, value)) throw new Error(`${what}: the results differ`);
    if (result === "accepted") t = tSeconds;
    if (random.below(400) === 0) for (const series of pair) series.reset();
    expectSameBits(pair[0].forecast(), pair[1].forecast(), what);
  }
  expect(pair[0].refused).toEqual(pair[1].refused);
  for (const series of pair) series.dispose();
  return pushes;
}

const corpora: Record<string, (random: SeededRandom, t: number) => [number, number]> = {
  "noise on uneven steps": (random, t) => [t + random.unit() * 30, random.unit() * 100],
  "a line with noise far from zero": (random, t) => [t + 5, 1e9 + t / 7 + random.unit()],
  "near-constant values": (random, t) => [t + 5, 42.5 + (random.below(50) === 0 ? Number.EPSILON * 64 : 0)],
  "magnitudes from 1e-300 to 1e100": (random, t) => [
    t + 10 ** (random.unit() * 20 - 7),
    (random.unit() - 0.5) * 10 ** (random.unit() * 400 - 300),
  ],
  "hostile times and values": (random, t) => [
    random.pick([t + 1, t + 1, t + 1e-6, t, t - 1, t + 1e-7, ...hostileValues]),
    random.pick(hostileValues),
  ],
  "hostile values on good times": (random, t) => [t + 1 + random.unit(), random.pick(hostileValues)],
};

describe("the two kernels", () => {
  test.each(Object.entries(corpora))("give the same bits, all of them finite, on %s", (name, next) => {
    const seed = 0x5eed + name.length;
    let points = 0;
    for (let round = 0; round < 60; round++) points += runBoth(seededRandom(seed + round * 7919), 400, next);
    console.log(`  ${name}: ${points} points from seed ${seed}, 0 bits differ`);
  });
});
