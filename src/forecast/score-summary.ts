/** What a score says at a glance: each method against the usual ones, and how many series it is calibrated on. */
import type { ByMethod, ScoreReport } from "./score.ts";

/** How a method compares; below 1 is better. Null where the other's figure is 0, unknown, or there is no such method. */
export interface ScoreRatios {
  readonly maeToOlsEma: number | null;
  readonly maeToLast: number | null;
  readonly winklerToOls: number | null;
}

/** Series on which the 95 % interval holds 93 to 97 % of the values, of those with any scored point. */
export interface CalibratedSeries {
  readonly within: number;
  readonly of: number;
  /** Null where there are none. */
  readonly share: number | null;
}

const calibratedFrom = 0.93;
const calibratedTo = 0.97;

/** Each method's overall figures over those of `ols_ema`, `last` and `ols`. */
export function scoreRatios({ overall }: ScoreReport): ByMethod<ScoreRatios> {
  return mapMethods(overall, ({ mae, winkler }) => ({
    maeToOlsEma: quotient(mae, overall.ols_ema?.mae),
    maeToLast: quotient(mae, overall.last?.mae),
    winklerToOls: quotient(winkler, overall.ols?.winkler),
  }));
}

export function calibratedSeries({ overall, systems }: ScoreReport): ByMethod<CalibratedSeries> {
  const scored = systems.flatMap(({ series }) => series).filter((one) => one.scored > 0);
  return mapMethods(overall, (_, method) => {
    const within = scored.filter(({ coverage }) => isCalibrated(coverage[method] ?? Number.NaN)).length;
    return { within, of: scored.length, share: quotient(within, scored.length) };
  });
}

const isCalibrated = (coverage: number): boolean => coverage >= calibratedFrom && coverage <= calibratedTo;

function mapMethods<T, U>(values: ByMethod<T>, of: (value: T, method: string) => U): ByMethod<U> {
  return Object.fromEntries(Object.entries(values).map(([method, value]) => [method, of(value, method)]));
}

function quotient(above: number, below: number | undefined): number | null {
  return below !== undefined && below > 0 && Number.isFinite(above) ? above / below : null;
}
