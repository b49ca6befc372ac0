/**
 * What a person ordered, as the ladder carries it out. Pure.
 *
 * Unloaded by a person: it finishes its answers, goes, and nothing loads it until a person does. Pinned: it is what the ladder
 * aims at, and no better one is taken; slowness and failures do not remove it, but the lines of memory do, since a host that
 * runs out of memory loses it in any case. Then the ladder goes on below it, and takes it again after calm.
 */

import type { LadderPolicy, LadderSituation, LadderVerdict, ModelFacts } from "./ladder-facts.ts";
import { holding } from "./ladder-facts.ts";
import { fitOf, isIdle, isReady } from "./ladder-room.ts";
import { freedBy, needOf } from "./need.ts";
import { blockersOf, freeFor, type ModelBlocker } from "./preflight.ts";

const ordered = { rule: "ordered", rejected: [] } as const;

const finishing = ({ name, generating }: ModelFacts, reason: string): LadderVerdict => ({
  rule: "finish",
  action: "hold",
  model: name,
  reason: `${reason}, once ${name} has finished ${generating} of its answers`,
  rejected: [],
});

/** A model that a person unloaded goes when it is idle; null: none is left. */
export function giveBack({ models }: LadderSituation): LadderVerdict | null {
  const leaving = models.filter((model) => model.unloadedByPerson && isReady(model));
  const idle = leaving.find(isIdle);
  const reason = "a person ordered it";
  if (idle) return { ...ordered, action: "unload", model: idle.name, reason };
  return leaving[0] ? finishing(leaving[0], reason) : null;
}

/** The pinned model takes the place of better ones that are loaded; null: nothing is to be done for that. */
export function toPinned(situation: LadderSituation, policy: LadderPolicy): LadderVerdict | null {
  const { models } = situation;
  const index = models.findIndex(({ pinned }) => pinned);
  const pinned = models[index];
  const over = models.slice(0, Math.max(0, index)).filter(isReady);
  const [active] = over;
  if (!pinned || !active) return null;
  const reason = `${pinned.name} is pinned`;
  if (isReady(pinned)) {
    const idle = over.find(isIdle);
    return idle
      ? {
          ...ordered,
          action: "unload",
          model: idle.name,
          reason: `${reason}, and ${idle.name} is not needed`,
        }
      : finishing(active, reason);
  }
  const terms = { contextTokens: pinned.contextTokens, bound: "valueRatio" } as const;
  const margin = policy.hysteresisRatio;
  const beside = fitOf(pinned, situation, policy, { ...terms, freedBytes: 0, marginRatio: margin });
  const fit = beside.fits
    ? beside
    : fitOf(pinned, situation, policy, { ...terms, freedBytes: freedBy(active), marginRatio: margin });
  if (!fit.fits) return holding(reason, [{ model: pinned.name, because: fit.because }]);
  if (!beside.fits && !isIdle(active)) return finishing(active, reason);
  return {
    ...ordered,
    action: "switch",
    model: pinned.name,
    from: active.name,
    setting: { contextTokens: pinned.contextTokens, parallel: pinned.mostParallel },
    needBytes: fit.needBytes,
    beside: beside.fits,
    reason,
  };
}

/** The ladder without what is better than the pinned model. */
export function underPin(situation: LadderSituation): LadderSituation {
  const index = situation.models.findIndex(({ pinned }) => pinned);
  return index <= 0 ? situation : { ...situation, models: situation.models.slice(index) };
}

export type LoadPlan =
  | { ok: true; verdict: LadderVerdict }
  /** unusable: it cannot be loaded whatever is free. */
  | { ok: false; code: "no-room" | "unusable"; reason: string; blockedBy: readonly ModelBlocker[] };

/**
 * How a model that a person wants is loaded: beside what is loaded where both fit, else in place of the best idle model that
 * makes room. By measured memory alone: neither put-offs nor the wait for calm hold a person back.
 */
export function loadPlan(name: string, situation: LadderSituation, policy: LadderPolicy): LoadPlan {
  const { models, memory } = situation;
  const model = models.find((each) => each.name === name);
  if (!model) throw new Error(`no model ${name}`);
  const unusable = (reason: string): LoadPlan => ({ ok: false, code: "unusable", reason, blockedBy: [] });
  if (model.unusable !== undefined) return unusable(`${name} cannot be used: ${model.unusable}`);
  const need = needOf(model, model.contextTokens);
  if (need === null) return unusable(`${name} needs an unknown amount of memory: give it \`memory\``);
  const setting = { contextTokens: model.contextTokens, parallel: model.mostParallel };
  const load = { ...ordered, model: name, setting, needBytes: need, reason: "a person ordered it" };
  const free = freeFor(model, models, memory, policy);
  if (need === 0 || need < free) return { ok: true, verdict: { ...load, action: "load" } };
  const from = models.find((each) => isReady(each) && isIdle(each) && need < free + freedBy(each));
  if (from) return { ok: true, verdict: { ...load, action: "switch", from: from.name, beside: false } };
  return {
    ok: false,
    code: "no-room",
    reason: `${name} does not fit, neither beside what is loaded nor in its place`,
    blockedBy: blockersOf({ models, memory }),
  };
}
