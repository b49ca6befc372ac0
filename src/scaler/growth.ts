/** How fast memory grows now. Deterministic: time is told. */

/** Readings of so long are looked at, of which there are at most `mostReadings`. */
const windowMs = 3_000;
const mostReadings = 128;
/** Between closer readings a page fault more or less is no pace. */
const leastMs = 200;

/**
 * The larger of the pace over the last second and over the last three: what begins to grow is seen at once, and what pauses
 * for a moment is not forgotten.
 */
export class Growth {
  readonly #readings: { atMs: number; bytes: number }[] = [];

  add(atMs: number, bytes: number): void {
    const readings = this.#readings;
    const last = readings.at(-1);
    if (last && atMs <= last.atMs) return;
    readings.push({ atMs, bytes });
    while (readings.length > mostReadings || (readings[1] && readings[1].atMs <= atMs - windowMs))
      readings.shift();
  }

  /** Something was stopped or started: what was measured before says nothing of what comes. */
  reset(): void {
    this.#readings.length = 0;
  }

  /** Bytes a second, never negative; 0 while too little is known. */
  get perSecond(): number {
    return Math.max(0, this.#over(1_000), this.#over(windowMs));
  }

  #over(spanMs: number): number {
    const readings = this.#readings;
    const last = readings.at(-1);
    if (!last) return 0;
    let first = last;
    for (let index = readings.length - 2; index >= 0; index--) {
      const reading = readings[index];
      if (!reading || reading.atMs < last.atMs - spanMs) break;
      first = reading;
    }
    if (last.atMs - first.atMs < leastMs) return 0;
    return ((last.bytes - first.bytes) * 1_000) / (last.atMs - first.atMs);
  }
}
