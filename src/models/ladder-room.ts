/** Whether a model fits, by measured memory and by what is expected. Pure. */

import { formatBytes, formatPercent } from "../config/units.ts";
import type { LadderPolicy, LadderSituation, ModelFacts } from "./ladder-facts.ts";
import { needOf } from "./need.ts";

/** The share of the budget at which it gives way; `models`: the ladder that it is of. */
export const lineOf = (model: ModelFacts, models: readonly ModelFacts[], policy: LadderPolicy): number =>
  model.stepDownRatio ??
  (isLast(model, models) && models.length > 1 ? policy.lastStepDownRatio : policy.stepDownRatio);

/** So far under its line the use must stay when it is loaded with none beside it: an answer is worth more than a margin. */
export const marginAlone = (
  model: ModelFacts,
  models: readonly ModelFacts[],
  policy: LadderPolicy,
): number => (isLast(model, models) ? 0 : policy.hysteresisRatio);

const isLast = (model: ModelFacts, models: readonly ModelFacts[]): boolean => models.at(-1) === model;

export const measuredRatio = ({ memory }: Pick<LadderSituation, "memory">): number =>
  (memory.usedBytes + memory.reservedBytes) / memory.budgetBytes;

/** Loading it, and whether that is wise: `because` says why not. */
export type Fit = { fits: true; needBytes: number; afterRatio: number } | { fits: false; because: string };

export interface FitTerms {
  contextTokens: number;
  /** What comes free before it is loaded. */
  freedBytes: number;
  /** So far under its line the use must stay. */
  marginRatio: number;
  /** Which end of the forecast has to stay under the line too. */
  bound: "valueRatio" | "upperRatio";
}

/** May it be loaded: measured use and forecast, less what comes free and with what it takes, stay under its line. */
export function fitOf(
  model: ModelFacts,
  situation: LadderSituation,
  policy: LadderPolicy,
  { contextTokens, freedBytes, marginRatio, bound }: FitTerms,
): Fit {
  const { memory, forecast, nowMs, contextWanted } = situation;
  if (model.unusable !== undefined) return { fits: false, because: `cannot be used: ${model.unusable}` };
  if (model.unloadedByPerson) return { fits: false, because: "is unloaded until it is loaded by a person" };
  if ((model.putOffUntilMs ?? 0) > nowMs)
    return { fits: false, because: "is put off after what happened the last time" };
  if (contextTokens < contextWanted)
    return {
      fits: false,
      because: `has a context of ${contextTokens} tokens, and ${contextWanted} are asked for`,
    };
  const need = needOf(model, contextTokens);
  if (need === null) return { fits: false, because: "needs an unknown amount of memory: give it `memory`" };
  const changeBytes = need - freedBytes;
  const afterRatio = (memory.usedBytes + memory.reservedBytes + changeBytes) / memory.budgetBytes;
  const limit = lineOf(model, situation.models, policy) - marginRatio;
  if (need > 0 && afterRatio >= limit)
    return {
      fits: false,
      because: `needs ${formatBytes(need)}, which comes to ${formatPercent(afterRatio)} of the budget, not under ${formatPercent(limit)}`,
    };
  const expected = forecast === null ? 0 : forecast[bound] + changeBytes / memory.budgetBytes;
  if (need > 0 && expected >= limit)
    return {
      fits: false,
      because: `is expected to come to ${formatPercent(expected)} of the budget, not under ${formatPercent(limit)}`,
    };
  return { fits: true, needBytes: need, afterRatio };
}

export const isReady = ({ state }: ModelFacts): boolean => state === "ready";
export const isIdle = ({ generating }: ModelFacts): boolean => generating === 0;

export const wasJustLoaded = (
  { loadedAtMs }: ModelFacts,
  nowMs: number,
  { justLoadedMs }: LadderPolicy,
): boolean => loadedAtMs !== null && nowMs - loadedAtMs < justLoadedMs;
