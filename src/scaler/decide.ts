/**
 * What to do now. Pure: the live loop, a replay and a shadow policy run this same function.
 *
 *                       measured >= emergency (tested first, from every state)
 *          +--------------------------------------------------------------> mission: all but the last, at once
 *          |                                                                adaptive: the plan, at once
 *        calm --- a trigger fires --> shedding --- measured < line - margin --> calm
 *          |                              one victim, after what requires it; measured again, the next
 *          +--- measured and expected use under the line, footprint fits, dwell and put-off over --> one restore
 *
 * `mission` sheds at 80 %, measured or forecast, and restores at 65 % of the budget. `adaptive` sheds at the latest moment
 * that the time to reclaim allows, and restores as soon as the plugin fits (see latest-line.ts).
 *
 * A plugin never loses what it requires while it runs: whoever requires the victim is shed before it, in the same
 * decision. So what the last of the order requires is never shed either.
 */

import { formatBytes, formatPercent } from "../config/units.ts";
import { dependentsFirst, listed } from "./dependents.ts";
import { drainMs } from "./latest-line.ts";
import { modelsFirst } from "./models-first.ts";
import { holdsMemory, neverShed, sheddingOrder } from "./order.ts";
import { nothingToDo, restoreOne } from "./restoring.ts";
import {
  type Action,
  type ForecastFacts,
  hold,
  type PluginFacts,
  type Policy,
  type Rejected,
  type Situation,
  type Verdict,
  type VictimChoice,
} from "./situation.ts";
import type { Cause } from "./triggers/trigger.ts";
import { sheddingCause } from "./triggers/triggers.ts";
import { planFor, type Victims } from "./victims.ts";

/** What to do now. Never sheds the last of the order or what it requires, never sheds and restores in one verdict. */
export function decide(situation: Situation, forecast: ForecastFacts | null, policy: Policy): Verdict {
  const measuredRatio = situation.measured.usedBytes / situation.measured.budgetBytes;
  const urgent = measuredRatio >= policy.emergencyRatio;
  const cause = urgent ? null : sheddingCause(situation, forecast, policy);
  // Most readings: nothing fires and nothing waits, and no order is asked for.
  if (!urgent && !cause && !situation.plugins.some(isShed)) return hold(nothingToDo);
  const order = sheddingOrder(situation.plugins, policy.order);
  if (urgent) {
    const reason = emergencyReason(measuredRatio, policy);
    const models = modelsFirst(situation, policy, { reason, urgent: true });
    if (models) return models;
    return policy.kind === "adaptive"
      ? shed(order, situation, policy, { rule: "emergency", reason, urgent: true })
      : keepOnlyTheLast(order, measuredRatio, policy);
  }
  if (cause)
    return (
      modelsFirst(situation, policy, { ...cause, urgent: false }) ??
      shed(order, situation, policy, { ...cause, urgent: false })
    );
  return restoreOne(order, situation, forecast, policy);
}

const isShed = ({ state }: PluginFacts): boolean => state === "shed";

const emergencyReason = (measuredRatio: number, policy: Policy): string =>
  `${formatPercent(measuredRatio)} of the budget is used, at or over the emergency line of ${formatPercent(policy.emergencyRatio)}`;

function keepOnlyTheLast(order: readonly PluginFacts[], measuredRatio: number, policy: Policy): Verdict {
  const kept = neverShed(order);
  const actions = dependentsFirst(order, order)
    .filter((plugin) => holdsMemory(plugin) && !kept.has(plugin))
    .map((plugin) => shedAction(plugin, true));
  const reason = emergencyReason(measuredRatio, policy);
  const rest = keptText(kept);
  if (actions.length === 0) return hold(`${reason}, and nothing but ${rest} is left`);
  return { rule: "emergency", reason: `${reason}: only ${rest} is kept`, actions, rejected: [] };
}

/** "stubs, with core that it requires,": what stays in an emergency. */
function keptText(kept: ReadonlySet<PluginFacts>): string {
  const [last, ...others] = kept;
  if (!last) return "no plugin";
  const protectedOnes = others.filter(({ protect }) => protect);
  const required = others.filter(({ protect }) => !protect);
  const parts = [last.name];
  if (required.length > 0) parts.push(`with ${listed(required)} that it requires`);
  if (protectedOnes.length > 0) parts.push(`and ${listed(protectedOnes)}, protected`);
  return parts.length === 1 ? last.name : `${parts.join(", ")},`;
}

/** The first step of the plan. */
function shed(
  order: readonly PluginFacts[],
  situation: Situation,
  policy: Policy,
  { rule, reason, urgent }: Cause & { urgent: boolean },
): Verdict {
  const victims = planFor(order, situation, policy);
  const { first, group, because, plan } = victims;
  const rejected = order
    .filter((plugin) => !group.includes(plugin))
    .map(
      (plugin): Rejected => ({
        kind: "shed",
        plugin: plugin.name,
        because: whyNot(plugin, victims, order, policy),
      }),
    );
  if (!first) return { ...hold(`${reason}, and nothing is left to shed`), rejected };
  const drain = urgent ? undefined : drainMs(situation, policy);
  return {
    rule,
    reason: `${reason}: ${first.name}${withDependents(first, group)} ${because}`,
    actions: group.map((plugin) => shedAction(plugin, urgent, drain)),
    rejected,
    plan,
  };
}

/** The clause after the victim's name: who goes with it, and what they hold. `group` has the victim among them. */
function withDependents(victim: PluginFacts, group: readonly PluginFacts[]): string {
  const dependents = group.filter((plugin) => plugin !== victim);
  const known = group.flatMap(({ footprintBytes }) => footprintBytes ?? []);
  const bytes = formatBytes(known.reduce((sum, each) => sum + each, 0));
  if (dependents.length === 0) return known.length > 0 ? `, which holds ${bytes},` : "";
  const require = dependents.length === 1 ? "requires" : "require";
  const least = known.length < group.length ? "at least " : "";
  const held = known.length > 0 ? ` which hold ${least}${bytes} together,` : "";
  return `, with ${listed(dependents)} that ${require} it,${held}`;
}

/** Why a plugin is passed over that is less important than the victim. By order none is. */
const passedOver: Record<Exclude<VictimChoice, "order">, (victim: string) => string> = {
  spare: () => "frees too little, counting what it takes again when it is back",
  culprit: (victim) => `grows less than ${victim}`,
  largest: (victim) => `holds less than ${victim}`,
};

function whyNot(
  plugin: PluginFacts,
  { first, kept, plan }: Victims,
  order: readonly PluginFacts[],
  { victims = "order" }: Policy,
): string {
  const [last] = kept;
  if (plugin === last) return "the last in the degradation order is never shed";
  if (plugin.protect) return "is protected by its manifest";
  if (kept.has(plugin)) return `is required by ${last?.name}, which is never shed`;
  if (plugin.state === "shed") return "is shed already";
  if (plugin.state === "blocked") return "holds no memory: it waits for what it requires";
  if (!holdsMemory(plugin)) return "is not running";
  const step = plan.steps.findIndex((each) => each.plugin === plugin.name);
  if (step > 0) return `comes after ${first?.name}, if that is not enough`;
  if (first && victims !== "order" && order.indexOf(plugin) < order.indexOf(first))
    return passedOver[victims](first.name);
  return `comes after ${first?.name} in the degradation order`;
}

const shedAction = (plugin: PluginFacts, urgent: boolean, drain?: number): Action => ({
  kind: "shed",
  plugin: plugin.name,
  urgent,
  expectedBytes: plugin.footprintBytes,
  ...(drain === undefined ? {} : { drainMs: drain }),
});
