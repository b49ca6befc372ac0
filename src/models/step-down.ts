/**
 * The cascade of giving way, the mildest first: fewer answers at once; a shorter context; idle models, by what it costs to
 * load them again for each byte; answers under way may finish; a smaller model; none. Pure.
 */

import { formatBytes, formatPercent } from "../config/units.ts";
import {
  holding,
  type LadderPolicy,
  type LadderRejected,
  type LadderRule,
  type LadderSituation,
  type LadderVerdict,
  type ModelFacts,
} from "./ladder-facts.ts";
import { fitOf, isIdle, isReady, lineOf, measuredRatio, wasJustLoaded } from "./ladder-room.ts";
import { freedBy, needOf } from "./need.ts";

interface Cause {
  rule: LadderRule;
  reason: string;
  /** Bytes that have to come free; null: the model itself is to blame, whatever is free. */
  excessBytes: number | null;
}

/** Why and how the best loaded model gives way; null when nothing asks for it. */
export function stepDown(situation: LadderSituation, policy: LadderPolicy): LadderVerdict | null {
  const loaded = situation.models.filter(isReady);
  const [active] = loaded;
  if (!active) return null;
  const cause = memoryCause(active, situation, policy) ?? ownCause(active, policy);
  if (!cause) return null;
  if (cause.excessBytes !== null) {
    const mild =
      fewerAtOnce(active, cause) ??
      idleOnes(loaded, active, situation, policy, { ...cause, excessBytes: cause.excessBytes });
    if (mild) return mild;
  }
  if (wasJustLoaded(active, situation.nowMs, policy))
    return holding(`${cause.reason}, and ${active.name} was just loaded`);
  const instead = insteadOf(active, loaded, situation, policy, cause);
  if (instead.action === "hold" || isIdle(active)) return instead;
  return {
    rule: "finish",
    action: "hold",
    model: active.name,
    reason: `${instead.reason}, once ${active.name} has finished ${active.generating} of its answers`,
    rejected: instead.rejected,
  };
}

/** Measured, then expected use at the model's line. What holds none of this memory helps nothing by going. */
function memoryCause(active: ModelFacts, situation: LadderSituation, policy: LadderPolicy): Cause | null {
  if (freedBy(active) === 0) return null;
  const line = lineOf(active, situation.models, policy);
  const measured = measuredRatio(situation);
  const expected = situation.forecast?.valueRatio ?? 0;
  if (Math.max(measured, expected) < line) return null;
  const rule = measured >= line ? "threshold" : "forecast";
  const verb = rule === "threshold" ? "is used or promised" : "is expected to be used";
  const excessRatio = Math.max(measured, expected) - line + policy.hysteresisRatio;
  return {
    rule,
    reason: `${formatPercent(rule === "threshold" ? measured : expected)} of the budget ${verb}, at or over the line of ${active.name} at ${formatPercent(line)}`,
    excessBytes: excessRatio * situation.memory.budgetBytes,
  };
}

function ownCause(
  { name, pinned, failedRatio, tokensPerSecond, slowestTokensPerSecond }: ModelFacts,
  policy: LadderPolicy,
): Cause | null {
  if (pinned) return null;
  if (failedRatio !== null && failedRatio >= policy.failingRatio)
    return {
      rule: "failing",
      reason: `${formatPercent(failedRatio)} of the last answers of ${name} failed`,
      excessBytes: null,
    };
  if (
    tokensPerSecond === null ||
    slowestTokensPerSecond === null ||
    tokensPerSecond >= slowestTokensPerSecond
  )
    return null;
  return {
    rule: "slow",
    reason: `${name} gives ${tokensPerSecond.toFixed(1)} tokens a second, under the ${slowestTokensPerSecond} it is to give`,
    excessBytes: null,
  };
}

function fewerAtOnce(active: ModelFacts, { rule, reason }: Cause): LadderVerdict | null {
  if (active.parallel === 1 || isIdle(active)) return null;
  return {
    rule,
    action: "trim",
    model: active.name,
    setting: { contextTokens: active.loadedContextTokens ?? active.contextTokens, parallel: 1 },
    needBytes: 0,
    reason: `${reason}: ${active.name} gives one answer at a time`,
    rejected: [],
  };
}

/** The next idle model beside the active one, when all of them together are enough: else the active one goes itself. */
function idleOnes(
  loaded: readonly ModelFacts[],
  active: ModelFacts,
  { nowMs }: LadderSituation,
  policy: LadderPolicy,
  { rule, reason, excessBytes }: Cause & { excessBytes: number },
): LadderVerdict | null {
  const idle = loaded.filter(
    (model) =>
      model !== active && isIdle(model) && freedBy(model) > 0 && !wasJustLoaded(model, nowMs, policy),
  );
  const together = idle.reduce((sum, model) => sum + freedBy(model), 0);
  // A shorter context disturbs less than the model behind it; and a smaller model is of use when the active one has to go.
  if (together < excessBytes) return null;
  const costOf = (model: ModelFacts) => (model.loadMs ?? 0) / freedBy(model);
  const [first] = idle.toSorted((one, other) => costOf(one) - costOf(other));
  if (!first) return null;
  return {
    rule,
    action: "unload",
    model: first.name,
    reason: `${reason}: ${first.name} is idle and gives back ${formatBytes(freedBy(first))}`,
    rejected: idle
      .filter((model) => model !== first)
      .map(({ name }) => ({
        model: name,
        because: `costs more time to load again for each byte than ${first.name}`,
      })),
  };
}

/** What runs in place of the active model: itself with less context, a smaller one, or none. */
function insteadOf(
  active: ModelFacts,
  loaded: readonly ModelFacts[],
  situation: LadderSituation,
  policy: LadderPolicy,
  cause: Cause,
): LadderVerdict {
  const { rule, reason } = cause;
  const trimmed = cause.excessBytes === null ? null : shorter(active, situation, policy, cause.excessBytes);
  if (trimmed)
    return {
      ...trimmed,
      rule,
      reason: `${reason}: ${active.name} goes on with ${trimmed.setting.contextTokens} tokens of context`,
      rejected: [],
    };
  const rejected: LadderRejected[] = [];
  const other = loaded.find((model) => model !== active);
  if (other)
    return {
      rule,
      action: "unload",
      model: active.name,
      reason: `${reason}: ${other.name} is loaded already and goes on`,
      rejected,
    };
  const { models } = situation;
  // What is better than the one that a person chose is no way down.
  const pinned = models.findIndex((model) => model.pinned);
  for (const model of models.slice(Math.max(pinned, models.indexOf(active) + 1))) {
    const fit = fitOf(model, situation, policy, {
      contextTokens: model.contextTokens,
      freedBytes: freedBy(active),
      marginRatio: 0,
      bound: "valueRatio",
    });
    if (!fit.fits) {
      rejected.push({ model: model.name, because: fit.because });
      continue;
    }
    return {
      rule,
      action: "switch",
      model: model.name,
      from: active.name,
      setting: { contextTokens: model.contextTokens, parallel: model.mostParallel },
      needBytes: fit.needBytes,
      // What gives way for memory goes first.
      beside: cause.excessBytes === null && besideFits(model, situation, policy),
      reason: `${reason}: ${model.name} takes its place`,
      rejected,
    };
  }
  // A slow answer is better than none.
  if (cause.excessBytes === null) return holding(`${reason}, and no smaller model fits`, rejected);
  return {
    rule,
    action: "unload",
    model: active.name,
    reason: `${reason}, and no smaller model fits`,
    rejected,
  };
}

const besideFits = (model: ModelFacts, situation: LadderSituation, policy: LadderPolicy): boolean =>
  fitOf(model, situation, policy, {
    contextTokens: model.contextTokens,
    freedBytes: 0,
    marginRatio: policy.hysteresisRatio,
    bound: "valueRatio",
  }).fits;

/** The longest half, quarter, … of its context that frees enough; null when none does, or its cache is not known. */
function shorter(
  active: ModelFacts,
  situation: LadderSituation,
  policy: LadderPolicy,
  excessBytes: number,
): Extract<LadderVerdict, { action: "trim" }> | null {
  if (active.bytes.kvPerToken === null || active.loadedContextTokens === null) return null;
  const least = Math.max(policy.leastContextTokens, situation.contextWanted);
  const held = freedBy(active);
  for (let tokens = active.loadedContextTokens >> 1; tokens >= least; tokens >>= 1) {
    const need = needOf(active, tokens);
    if (need !== null && held - need >= excessBytes)
      return {
        rule: "hold",
        action: "trim",
        model: active.name,
        setting: { contextTokens: tokens, parallel: active.parallel },
        needBytes: need,
        reason: "",
        rejected: [],
      };
  }
  return null;
}
