/** A model as a person sees it: what it is, how it does, and why it is not loaded. Pure. */

import { formatDuration } from "../config/units.ts";
import type { EngineFailure } from "./failure.ts";
import type { ModelFeedback } from "./feedback.ts";
import type { LadderPolicy, LadderSituation, ModelFacts } from "./ladder-facts.ts";
import { type Fit, fitOf, isReady, marginAlone } from "./ladder-room.ts";
import { freedBy, needOf } from "./need.ts";
import { freeFor } from "./preflight.ts";
import { firstAllowed } from "./step-up.ts";

export interface ModelStanding {
  facts: ModelFacts;
  /** The type of most of its weights, such as "Q8_0"; null: not known. */
  quantisation: string | null;
  feedback: ModelFeedback;
  /** Why it failed last; null: it did not, or was loaded since. */
  failure: EngineFailure | null;
  /** How often it was loaded since conductor runs. */
  loads: number;
  /** Null: it is loaded, or memory was not measured yet. */
  notLoadedBecause: string | null;
  /** Bytes that have to come free before it is loaded; 0: memory is not in its way. Null: not known. */
  missingBytes: number | null;
}

const found = (name: string, models: readonly ModelFacts[]): { model: ModelFacts; index: number } => {
  const index = models.findIndex((each) => each.name === name);
  const model = models[index];
  if (!model) throw new Error(`no model ${name}`);
  return { model, index };
};

/** As the ladder would load it: in place of the best that is loaded, or alone. */
function fitInPlace(model: ModelFacts, situation: LadderSituation, policy: LadderPolicy): Fit {
  const { models } = situation;
  const active = models.find(isReady);
  return fitOf(model, situation, policy, {
    contextTokens: model.contextTokens,
    freedBytes: active ? freedBy(active) : 0,
    marginRatio: active ? policy.hysteresisRatio : marginAlone(model, models, policy),
    bound: "upperRatio",
  });
}

/** One sentence without a subject, as in "needs 4.00 GiB, which …"; null when it is loaded or being loaded. */
export function notLoadedBecause(
  name: string,
  situation: LadderSituation,
  policy: LadderPolicy,
): string | null {
  const { models, nowMs, calmSinceMs, gaveUp, lastChangeMs } = situation;
  const { model, index } = found(name, models);
  if (isReady(model) || model.state === "loading") return null;
  if (model.state === "unloading") return "is being unloaded";
  const fit = fitInPlace(model, situation, policy);
  if (!fit.fits) return fit.because;
  const pinned = models.findIndex((each) => each.pinned);
  if (index < pinned) return `is not wanted: ${models[pinned]?.name} is pinned`;
  const active = models.findIndex(isReady);
  if (active >= 0 && active < index) return `is not needed: ${models[active]?.name} answers`;
  const calm = calmSinceMs !== null && nowMs - calmSinceMs >= policy.calmMs;
  const waits = active >= 0 || index < firstAllowed(models, gaveUp, nowMs - (lastChangeMs ?? nowMs), policy);
  return waits && !calm ? `waits for ${formatDuration(policy.calmMs)} of calm` : "is about to be loaded";
}

/** What has to come free by measured memory, when it takes the place of the best that is loaded. */
export function missingBytes(name: string, situation: LadderSituation, policy: LadderPolicy): number | null {
  const { models, memory } = situation;
  const { model } = found(name, models);
  if (isReady(model)) return 0;
  const need = needOf(model, model.contextTokens);
  if (need === null) return null;
  const active = models.find(isReady);
  const room = freeFor(model, models, memory, policy) + (active ? freedBy(active) : 0);
  return Math.max(0, need - room);
}
