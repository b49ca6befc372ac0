import type { Kernel, Series } from "./forecaster.ts";

const windows = [3, 4, 10, 50];
const pushesPerWindow = 140;
const resetBefore = 50;
const batchSeries = 9;
/**
 * Forecasts are compared while a window is young, and then at every seventh push: a difference stays in the sums and
 * shows at the next one. It runs at every start, without a compiler: comparing at each push would cost 25 ms.
 */
const youngPushes = 5;
const compareEvery = 7;
const isCompared = (push: number): boolean =>
  push % resetBefore < youngPushes || push % compareEvery === 0 || push === pushesPerWindow - 1;

/**
 * Runs `candidate` and `reference` over one small corpus (cold, ready and wrapped windows; lines, noise, constants and
 * points to refuse) and compares every answer bit for bit. Answers null, or the first difference in words.
 */
export function compareKernels(candidate: Kernel, reference: Kernel): string | null {
  for (const windowPoints of windows) {
    const one = candidate.createSeries({ windowPoints });
    const other = reference.createSeries({ windowPoints });
    const difference = compareSeries(one, other);
    one.dispose();
    other.dispose();
    if (difference !== null) return `window of ${windowPoints}: ${difference}`;
  }
  const difference = compareBatches(candidate, reference);
  return difference === null ? null : `batch of ${batchSeries}: ${difference}`;
}

/** The same corpus, shifted from series to series, through a batch. */
function compareBatches(candidate: Kernel, reference: Kernel): string | null {
  const options = { series: batchSeries, windowPoints: 10, minPoints: 4 };
  const pair = [candidate.createBatch(options), reference.createBatch(options)] as const;
  for (let i = 0; i < pushesPerWindow; i++) {
    for (let series = 0; series < batchSeries; series++)
      for (const batch of pair) batch.values[series] = corpusPoint(i + series * 7)[1];
    for (const batch of pair) batch.tick(corpusPoint(i)[0]);
    for (let series = 0; isCompared(i) && series < batchSeries; series++) {
      const difference = firstDifference(pair[0].forecast(series), pair[1].forecast(series));
      if (difference !== null) return `after tick ${i}, in series ${series}, ${difference}`;
    }
  }
  return null;
}

function compareSeries(one: Series, other: Series): string | null {
  for (let i = 0; i < pushesPerWindow; i++) {
    if (i === resetBefore) for (const series of [one, other]) series.reset();
    const [tSeconds, value] = corpusPoint(i);
    const results = [one.push(tSeconds, value), other.push(tSeconds, value)];
    if (results[0] !== results[1]) return `push ${i} answers ${results[0]}, not ${results[1]}`;
    if (!isCompared(i)) continue;
    const difference = firstDifference(one.forecast(), other.forecast());
    if (difference !== null) return `after push ${i}, ${difference}`;
  }
  return firstDifference(one.refused, other.refused);
}

/** Epoch seconds with uneven steps; a deterministic stand-in for noise; now and then a point to refuse. */
function corpusPoint(i: number): [tSeconds: number, value: number] {
  const tSeconds = 1.7e9 + i * 5 + (i % 3) / 7;
  const noise = ((i * 7919 + 104729) % 1009) / 1009;
  if (i % 29 === 11) return [tSeconds, Number.NaN];
  if (i % 31 === 12) return [tSeconds - 60, noise];
  if (i < resetBefore) return [tSeconds, 62 + i / 3 + noise];
  return [tSeconds, i < 80 ? 42.5 : 1e9 * noise];
}

/** Names the first field whose bits differ, or null. Zero and minus zero differ. */
function firstDifference(one: object | null, other: object | null): string | null {
  if (one === null || other === null) return one === other ? null : "only one of them has a forecast";
  const expected = other as Record<string, unknown>;
  for (const [field, value] of Object.entries(one)) {
    if (!Object.is(value, expected[field])) return `${field} is ${value}, not ${expected[field]}`;
  }
  return null;
}
