import type { SeriesOptions } from "./forecaster.ts";
import type { PointRing } from "./ring.ts";
import { studentT975 } from "./student-t.ts";

/** Two increments are the fewest that say anything about their size. */
const fewestPoints = 3;
/** A handful of increments is a poor sample of a host's behaviour: the random walk's interval is doubled. */
const widening = 2;
/** The interval never closes, not even on a value that has not moved yet. */
const floorRatio = 0.01;

/**
 * Half-width of the interval about the last value while there are too few points for a line, `horizonSeconds` ahead.
 *
 * Fewer than three points: `coldHalfWidth`. From three on, the value is taken for a random walk without drift, whose
 * variance per second is the mean of (dy² / dt) over the n - 1 increments, so that a steady rise counts as spread:
 *
 *     max(2 * t(0.975, n - 1) * sqrt(mean(dy² / dt) * horizon), coldHalfWidth / 100)
 *
 * It has no ceiling: a value that jumps has a wider interval than one about which nothing is known.
 */
export function coldHalfWidth(ring: PointRing, options: Readonly<SeriesOptions>): number {
  const { times, values, capacity, points } = ring;
  if (points < fewestPoints) return options.coldHalfWidth;
  let from = ring.oldest;
  let sum = 0;
  for (let i = 1; i < points; i++) {
    const to = from + 1 === capacity ? 0 : from + 1;
    const increment = (values[to] as number) - (values[from] as number);
    sum += (increment * increment) / ((times[to] as number) - (times[from] as number));
    from = to;
  }
  const increments = points - 1;
  const deviation = Math.sqrt((sum / increments) * options.horizonSeconds);
  const halfWidth = widening * studentT975(increments) * deviation;
  return Math.max(halfWidth, floorRatio * options.coldHalfWidth);
}
