/**
 * The mission's policy: shed at 80 %, emergency at 95 %, restore at 65 % of the budget. Pure: the live loop and a
 * replay run this same function.
 *
 *                       measured >= emergency (tested first, from every state)
 *          +--------------------------------------------------------------> all but the last, at once
 *          |
 *        calm --- max(measured, smoothed forecast) >= shed --> shedding --- measured < shed - margin --> calm
 *          |                              one victim, after what requires it; measured again, the next
 *          +--- measured <= restore, upper bound < shed, footprint fits, dwell over --> one restore
 *
 * A plugin never loses what it requires while it runs: whoever requires the victim is shed before it, in the same
 * decision. So what the last of the order requires is never shed either.
 */

import { formatBytes, formatPercent } from "../config/units.ts";
import { dependentsFirst, listed, withRequirements } from "./dependents.ts";
import { restoreOne } from "./restoring.ts";
import {
  type Action,
  type ForecastFacts,
  hold,
  type PluginFacts,
  type Policy,
  type Rejected,
  type Rule,
  type Situation,
  sinceChangeMs,
  type Verdict,
} from "./situation.ts";

/** What to do now. Never sheds the last of the order or what it requires, never sheds and restores in one verdict. */
export function decide(situation: Situation, forecast: ForecastFacts | null, policy: Policy): Verdict {
  const order = sheddingOrder(situation.plugins, policy.order);
  const measuredRatio = situation.measured.usedBytes / situation.measured.budgetBytes;
  if (measuredRatio >= policy.emergencyRatio) return emergency(order, measuredRatio, policy);
  const cause = sheddingCause(situation, forecast, measuredRatio, policy);
  if (cause) return shedOne(order, cause.rule, cause.reason);
  return restoreOne(order, situation, forecast, policy);
}

/**
 * The plugins in the order in which they are shed: those that the policy does not name first, by name, then the
 * policy's. The last one of the policy's order is kept last even when it is absent now.
 */
export function sheddingOrder(plugins: readonly PluginFacts[], order: readonly string[]): PluginFacts[] {
  const rank = (name: string) => order.indexOf(name);
  return plugins.toSorted((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
}

/** What is never shed: the last of `order`, which is first here, and everything that it requires. */
export function neverShed(order: readonly PluginFacts[]): ReadonlySet<PluginFacts> {
  const last = order.at(-1);
  return last ? withRequirements(last, order) : new Set();
}

const holdsMemory = (plugin: PluginFacts): boolean =>
  plugin.state === "running" || plugin.state === "starting";

function emergency(order: readonly PluginFacts[], measuredRatio: number, policy: Policy): Verdict {
  const kept = neverShed(order);
  const actions = dependentsFirst(order, order)
    .filter((plugin) => holdsMemory(plugin) && !kept.has(plugin))
    .map((plugin) => shedAction(plugin, true));
  const reason = `${formatPercent(measuredRatio)} of the budget is used, at or over the emergency line of ${formatPercent(policy.emergencyRatio)}`;
  const [last, ...required] = kept;
  const rest = `${last?.name ?? "no plugin"}${required.length > 0 ? `, with ${listed(required)} that it requires,` : ""}`;
  if (actions.length === 0) return hold(`${reason}, and nothing but ${rest} is left`);
  return {
    rule: "emergency",
    reason: `${reason}: only ${rest} is kept`,
    actions,
    rejected: [],
  };
}

/** Why a plugin must be shed now, or null. */
function sheddingCause(
  situation: Situation,
  forecast: ForecastFacts | null,
  measuredRatio: number,
  policy: Policy,
): { rule: Rule; reason: string } | null {
  const line = formatPercent(policy.shedRatio);
  const measured = `${formatPercent(measuredRatio)} of the budget is used`;
  if (measuredRatio >= policy.shedRatio)
    return { rule: "threshold", reason: `${measured}, at or over the shed line of ${line}` };
  const target = policy.shedRatio - policy.marginRatio;
  if (situation.shedding && measuredRatio >= target)
    return {
      rule: "continue",
      reason: `${measured}, not yet under ${formatPercent(target)} after the last shed`,
    };
  if (forecast?.state !== "ready" || forecast.smoothedRatio < policy.shedRatio) return null;
  // Right after a change its effect is not in the forecast yet; the measured value still sheds at once.
  if (sinceChangeMs(situation) < policy.dwellMs) return null;
  const predicted = `the smoothed forecast is ${formatPercent(forecast.smoothedRatio)}`;
  return { rule: "forecast", reason: `${predicted}, at or over the shed line of ${line}; ${measured} now` };
}

function shedOne(order: readonly PluginFacts[], rule: Rule, reason: string): Verdict {
  const kept = neverShed(order);
  const victim = order.find((plugin) => holdsMemory(plugin) && !kept.has(plugin));
  const group = new Set(victim ? dependentsFirst([victim], order).filter(holdsMemory) : []);
  const rejected = order
    .filter((plugin) => !group.has(plugin))
    .map((plugin): Rejected => {
      const because = whyNeverShed(plugin, kept) ?? whyNotShed(plugin, victim);
      return { kind: "shed", plugin: plugin.name, because };
    });
  if (!victim) return { ...hold(`${reason}, and nothing is left to shed`), rejected };
  return {
    rule,
    reason: `${reason}: ${victim.name}${withDependents(victim, [...group])} is the first in the degradation order`,
    actions: [...group].map((plugin) => shedAction(plugin, false)),
    rejected,
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

function whyNeverShed(plugin: PluginFacts, kept: ReadonlySet<PluginFacts>): string | null {
  const [last] = kept;
  if (plugin === last) return "the last in the degradation order is never shed";
  return kept.has(plugin) ? `is required by ${last?.name}, which is never shed` : null;
}

function whyNotShed(plugin: PluginFacts, victim?: PluginFacts): string {
  if (plugin.state === "shed") return "is shed already";
  if (plugin.state === "blocked") return "holds no memory: it waits for what it requires";
  return holdsMemory(plugin) ? `comes after ${victim?.name} in the degradation order` : "is not running";
}

const shedAction = (plugin: PluginFacts, urgent: boolean): Action => ({
  kind: "shed",
  plugin: plugin.name,
  urgent,
  expectedBytes: plugin.footprintBytes,
});
