import type { AdaptiveSeries } from "./adaptive.ts";

/** A copy of the memory after each so many points, and at most so many copies: they reach back as far as the window. */
const everyPoints = 15;
const mostCopies = 5;

/** Earlier states of an adaptive forecaster, so that it can go back and take another way. */
export class ForecastHistory {
  #copies: { tSeconds: number; cells: Float64Array }[] = [];
  #sincePoints = 0;

  /** Called after each point that `series` took. */
  note(series: AdaptiveSeries): void {
    const newest = series.newest();
    if (!newest || ++this.#sincePoints < everyPoints) return;
    this.#sincePoints = 0;
    const oldest = this.#copies.length < mostCopies ? undefined : this.#copies.shift();
    this.#copies.push({ tSeconds: newest.tSeconds, cells: series.save(oldest?.cells) });
  }

  /** Takes `series` back to its earliest state that is not before `tSeconds`, if one is kept. */
  goBack(series: AdaptiveSeries, tSeconds: number): void {
    const copy = this.#copies.find((kept) => kept.tSeconds >= tSeconds);
    this.clear();
    if (!copy) return;
    series.restore(copy.cells);
    // It can be gone back to again.
    this.#copies.push(copy);
  }

  clear(): void {
    this.#copies = [];
    this.#sincePoints = 0;
  }
}
