/** A day of a small host, by the second: what its other programs hold, and who asks a model. Seeded, so that it comes again. */

export interface DayTrace {
  /** Bytes that the others hold at their usual, and what a burst holds beside it. */
  usualBytes: Float64Array;
  burstBytes: Float64Array;
  /** Questions that come within each second. */
  asks: Uint8Array;
}

export const daySeconds = 86_400;
const MiB = 2 ** 20;

/** mulberry32: https://github.com/bryc/code/blob/master/jshash/PRNGs.md */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * 250 MiB and 100 more in the evening; 16 bursts of 250 to 500 MiB that rise within half a minute to three and last 5 to 40
 * minutes, and 4 that come within 3 seconds. Questions: one in 5 minutes at night, 2 a minute in the evening.
 */
export function dayTrace(seed: number): DayTrace {
  const draw = random(seed);
  const between = (low: number, high: number) => low + draw() * (high - low);
  const evening = (second: number) => (1 - Math.cos((2 * Math.PI * (second - 8 * 3_600)) / daySeconds)) / 2;
  const usualBytes = Float64Array.from(
    { length: daySeconds },
    (_, second) => (250 + 100 * evening(second)) * MiB,
  );
  const burstBytes = new Float64Array(daySeconds);
  for (let burst = 0; burst < 20; burst++) {
    const start = Math.floor(between(0, daySeconds - 3_000));
    const rise = burst < 16 ? between(30, 180) : 3;
    const lasts = between(300, 2_400);
    const bytes = between(250, 500) * MiB;
    for (let second = 0; second < lasts && start + second < daySeconds; second++) {
      const now = bytes * Math.min(1, second / rise);
      // One at a time: two of them would not fit the host whatever the models do.
      burstBytes[start + second] = Math.max(burstBytes[start + second] ?? 0, now);
    }
  }
  const asks = Uint8Array.from({ length: daySeconds }, (_, second) =>
    draw() < (0.2 + 1.8 * evening(second)) / 60 ? 1 : 0,
  );
  return { usualBytes, burstBytes, asks };
}
