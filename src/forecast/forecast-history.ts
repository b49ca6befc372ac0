import type { AdaptiveSeries } from "./adaptive.ts";

/** A copy of the memory after each so many points, and at most so many copies: they reach back as far as the window. */
const everyPoints = 15;
const mostCopies = 5;

interface Copy {
  tSeconds: number;
  cells: Float64Array;
}

/** Earlier states of an adaptive forecaster, so that it can go back and take another way. */
export class ForecastHistory {
  #copies: Copy[] = [];
  /** Memory of copies that have no use any more; at most as many as there are copies. */
  readonly #spare: Float64Array[] = [];
  #sincePoints = 0;

  /** Called after each point that `series` took. */
  note(series: AdaptiveSeries): void {
    const newest = series.newest();
    if (!newest || ++this.#sincePoints < everyPoints) return;
    this.#sincePoints = 0;
    const oldest = this.#copies.length < mostCopies ? undefined : this.#copies.shift();
    const into = oldest?.cells ?? this.#spare.pop();
    this.#copies.push({ tSeconds: newest.tSeconds, cells: series.save(into) });
  }

  /** Takes `series` back to its earliest state that is not before `tSeconds`, if one is kept. */
  goBack(series: AdaptiveSeries, tSeconds: number): void {
    const copy = this.#copies.find((kept) => kept.tSeconds >= tSeconds);
    // It can be gone back to again.
    this.#forget(copy);
    if (copy) series.restore(copy.cells);
  }

  clear(): void {
    this.#forget();
  }

  #forget(except?: Copy): void {
    for (const copy of this.#copies)
      if (copy !== except && this.#spare.length < mostCopies) this.#spare.push(copy.cells);
    this.#copies = except ? [except] : [];
    this.#sincePoints = 0;
  }
}
