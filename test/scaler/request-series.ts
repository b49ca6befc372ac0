/** Requests as they come to a host: Poisson arrivals by a rate that is told for each moment, the same for the same seed. */

import { seededUnit } from "../../src/health/stagger.ts";

/** Requests that came within each of the bins, the oldest first. `ratePerSecond` is asked at the begin of each. */
export function requestSeries(
  seed: number,
  bins: number,
  binMs: number,
  ratePerSecond: (atMs: number) => number,
): number[] {
  const unit = seededUnit(seed);
  return Array.from({ length: bins }, (_, bin) =>
    poisson((ratePerSecond(bin * binMs) * binMs) / 1_000, unit),
  );
}

/** A draw with that mean (Knuth's product of uniforms, in parts of 500 so that it does not underflow). */
function poisson(mean: number, unit: () => number): number {
  if (mean > 500) return poisson(500, unit) + poisson(mean - 500, unit);
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = unit(); product > limit; product *= unit()) count++;
  return count;
}
