import { describe, expect, test } from "bun:test";
import type { Kernel, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { bothKernels } from "./kernels.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

const [js, wasm] = (await bothKernels()) as [Kernel, Kernel];

const hostile = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e308,
  1e100,
  -1e100,
  1e-300,
  5e-324,
  0,
  -0,
  1,
] as const;

const corpora: Record<
  string,
  { step: (random: SeededRandom) => number; value: (random: SeededRandom) => number }
> = {
  "noise on uneven steps": {
    step: (random) => 0.25 + random.unit() * 30,
    value: (random) => random.unit() * 100,
  },
  "magnitudes from 1e-300 to 1e100": {
    step: (random) => 10 ** (random.unit() * 20 - 6),
    value: (random) => (random.unit() - 0.5) * 10 ** (random.unit() * 400 - 300),
  },
  "values missing here and there": {
    step: () => 5,
    value: (random) => (random.below(60) === 0 ? Number.NaN : 1e9 + random.unit()),
  },
  "hostile values and times": {
    step: (random) => random.pick([1, 1, 1e-6, 1e-7, 0, -1, 1e50, Number.NaN]),
    value: (random) => random.pick(hostile),
  },
};

function randomOptions(random: SeededRandom): Partial<SeriesOptions> & { series: number } {
  const windowPoints = random.pick([1, 2, 3, 4, 5, 16, 50, 51]);
  return {
    series: random.pick([1, 7, 8, 9, 64, 600]),
    windowPoints,
    minPoints: 3 + random.below(Math.max(1, windowPoints - 2)),
    emaAlpha: random.pick([0.7, 1, 1e-9]),
    horizonSeconds: random.pick([300, 1e-9, 86400]),
  };
}

/** Ticks both batches alike and compares every forecast; answers how many were compared. */
function runBoth(random: SeededRandom, corpus: (typeof corpora)[string]): number {
  const options = randomOptions(random);
  const pair = [js.createBatch(options), wasm.createBatch(options)] as const;
  let compared = 0;
  let t = random.pick([0, 1.7e9, 1.7e12, -1e6]);
  for (let i = 0; i < 170; i++) {
    const tSeconds = t + corpus.step(random);
    for (let s = 0; s < options.series; s++) {
      const value = corpus.value(random);
      for (const batch of pair) batch.values[s] = value;
    }
    const what = `seed ${random.seed}, ${JSON.stringify(options)}, tick ${i} at ${tSeconds}`;
    const result = pair[0].tick(tSeconds);
    if (result !== pair[1].tick(tSeconds)) throw new Error(`${what}: the results differ`);
    if (result === "accepted") t = tSeconds;
    if (random.below(300) === 0) for (const batch of pair) batch.reset();
    for (let s = 0; s < options.series; s += 1 + random.below(9)) {
      const [one, other] = [pair[0].forecast(s), pair[1].forecast(s)];
      if (!Bun.deepEquals(one, other, true))
        throw new Error(`${what}, series ${s}: ${JSON.stringify([one, other])}`);
      const numbers = Object.values(one ?? {}).filter((field) => typeof field === "number");
      if (!numbers.every(Number.isFinite)) throw new Error(`${what}, series ${s}: ${JSON.stringify(one)}`);
      compared += 1;
    }
  }
  expect(pair[0].refused(0)).toEqual(pair[1].refused(0));
  return compared;
}

describe("the two kernels' batches", () => {
  test.each(Object.entries(corpora))("give the same bits, all of them finite, on %s", (name, corpus) => {
    const seed = 0xba7c + name.length;
    let compared = 0;
    for (let round = 0; round < 24; round++) compared += runBoth(seededRandom(seed + round * 7919), corpus);
    console.log(`  ${name}: ${compared} forecasts from seed ${seed}, 0 bits differ`);
  });
});
