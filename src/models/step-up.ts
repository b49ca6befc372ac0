/** Taking a better model: the best that fits, after calm; one change at a time. Pure. */

import { formatDuration } from "../config/units.ts";
import {
  holding,
  type LadderPolicy,
  type LadderRejected,
  type LadderSituation,
  type LadderVerdict,
  type ModelFacts,
} from "./ladder-facts.ts";
import { type Fit, fitOf, isIdle, isReady, marginAlone } from "./ladder-room.ts";
import { freedBy } from "./need.ts";

export function stepUp(situation: LadderSituation, policy: LadderPolicy): LadderVerdict {
  const active = situation.models.find(isReady);
  const calm = situation.calmSinceMs !== null && situation.nowMs - situation.calmSinceMs >= policy.calmMs;
  return active ? better(active, calm, situation, policy) : first(calm, situation, policy);
}

const fitWith = (
  model: ModelFacts,
  freedBytes: number,
  situation: LadderSituation,
  policy: LadderPolicy,
  marginRatio = policy.hysteresisRatio,
): Fit =>
  fitOf(model, situation, policy, {
    contextTokens: model.contextTokens,
    freedBytes,
    marginRatio,
    bound: "upperRatio",
  });

const whole = (model: ModelFacts) => ({ contextTokens: model.contextTokens, parallel: model.mostParallel });

/**
 * With none loaded: the best that fits. What was given up for memory, and what is better, waits for calm; the last model only
 * for `serviceMs`, since nobody answers meanwhile.
 */
function first(calm: boolean, situation: LadderSituation, policy: LadderPolicy): LadderVerdict {
  const { models, gaveUp, nowMs, lastChangeMs } = situation;
  const from = calm ? 0 : firstAllowed(models, gaveUp, nowMs - (lastChangeMs ?? nowMs), policy);
  const rejected: LadderRejected[] = models
    .slice(0, from)
    .map(({ name }) => ({ model: name, because: `waits for ${formatDuration(policy.calmMs)} of calm` }));
  for (const model of models.slice(from)) {
    const fit = fitWith(model, 0, situation, policy, marginAlone(model, models, policy));
    if (!fit.fits) rejected.push({ model: model.name, because: fit.because });
    else
      return {
        rule: from > 0 ? "again" : "fits",
        action: "load",
        model: model.name,
        setting: whole(model),
        needBytes: fit.needBytes,
        reason: `${model.name} is the best model that fits`,
        rejected,
      };
  }
  return holding(models.length === 0 ? "there are no models" : "no model fits", rejected);
}

/** Index of the first model that need not wait for calm. */
export function firstAllowed(
  models: readonly ModelFacts[],
  gaveUp: string | null,
  sinceChangeMs: number,
  { serviceMs }: LadderPolicy,
): number {
  const after = models.findIndex(({ name }) => name === gaveUp) + 1;
  return after === models.length && sinceChangeMs >= serviceMs ? Math.max(0, after - 1) : after;
}

/** The best of those over the active one that fits in its place; the active one itself when it was trimmed. */
function better(
  active: ModelFacts,
  calm: boolean,
  situation: LadderSituation,
  policy: LadderPolicy,
): LadderVerdict {
  const { models } = situation;
  const trimmed =
    active.parallel < active.mostParallel || (active.loadedContextTokens ?? Infinity) < active.contextTokens;
  const over = models.slice(0, models.indexOf(active) + (trimmed ? 1 : 0));
  if (over.length === 0) return holding(`${active.name} is the best model`);
  if (!calm) return holding(`${active.name} stays until it was calm for ${formatDuration(policy.calmMs)}`);
  const rejected: LadderRejected[] = [];
  for (const model of over) {
    const sameMemory = model === active && active.loadedContextTokens === active.contextTokens;
    const fit: Fit = sameMemory
      ? { fits: true, needBytes: 0, afterRatio: 0 }
      : fitWith(model, freedBy(active), situation, policy);
    if (!fit.fits) {
      rejected.push({ model: model.name, because: fit.because });
      continue;
    }
    const beside = sameMemory || (model !== active && fitWith(model, 0, situation, policy).fits);
    if (!beside && !isIdle(active))
      return holding(`${model.name} fits in place of ${active.name}, which is in use`, rejected);
    return {
      rule: "calm",
      action: "switch",
      model: model.name,
      from: active.name,
      setting: whole(model),
      needBytes: fit.needBytes,
      beside,
      reason: `calm for ${formatDuration(policy.calmMs)}, and ${model === active ? `${model.name} fits as a whole` : `${model.name} fits`}`,
      rejected,
    };
  }
  return holding(`${active.name} is the best model that fits`, rejected);
}
