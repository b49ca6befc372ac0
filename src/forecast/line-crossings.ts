/**
 * When a forecast goes over a line, and when it is back under it.
 *
 *   unknown ──first value──▶ below ──at or over the line──▶ above
 *                              ▲                              │
 *                              └── under the line by a margin ┘
 */

/** So far under the line a value must be to count as back: a forecast that hovers at it is told once. */
const marginRatio = 0.02;

export interface Crossing {
  direction: "above" | "below";
  valueRatio: number;
  lineRatio: number;
}

export class LineCrossings {
  #above = false;

  /** The crossing that this value is; null for none. `lineRatio` may move between two values. */
  look(valueRatio: number, lineRatio: number): Crossing | null {
    const above = this.#above ? valueRatio > lineRatio - marginRatio : valueRatio >= lineRatio;
    if (above === this.#above) return null;
    this.#above = above;
    return { direction: above ? "above" : "below", valueRatio, lineRatio };
  }
}
