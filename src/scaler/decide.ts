/**
 * The mission's policy: shed at 80 %, emergency at 95 %, restore at 65 % of the budget. Pure: the live loop and a
 * replay run this same function.
 *
 *                       measured >= emergency (tested first, from every state)
 *          +--------------------------------------------------------------> all but the last, at once
 *          |
 *        calm --- max(measured, smoothed forecast) >= shed --> shedding --- measured < shed - margin --> calm
 *          |                                                  one victim, measured again, the next
 *          +--- measured <= restore, upper bound < shed, footprint fits, dwell over --> one restore
 */

import { formatBytes, formatDuration, formatPercent } from "../config/units.ts";
import type {
  Action,
  ForecastFacts,
  PluginFacts,
  Policy,
  Rejected,
  Rule,
  Situation,
  Verdict,
} from "./situation.ts";

/** What to do now. Never sheds the last of the order, never sheds and restores in one verdict. */
export function decide(situation: Situation, forecast: ForecastFacts | null, policy: Policy): Verdict {
  const order = sheddingOrder(situation.plugins, policy.order);
  const measuredRatio = situation.measured.usedBytes / situation.measured.budgetBytes;
  if (measuredRatio >= policy.emergencyRatio) return emergency(order, measuredRatio, policy);
  const cause = sheddingCause(situation, forecast, measuredRatio, policy);
  if (cause) return shedOne(order, cause.rule, cause.reason);
  return restoreOne(order, situation, forecast, measuredRatio, policy);
}

/**
 * The plugins in the order in which they are shed: those that the policy does not name first, by name, then the
 * policy's. The last one of the policy's order is kept last even when it is absent now.
 */
export function sheddingOrder(plugins: readonly PluginFacts[], order: readonly string[]): PluginFacts[] {
  const rank = (name: string) => order.indexOf(name);
  return plugins.toSorted((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
}

/** The plugin that is never shed: the last of the order. */
const isLast = (order: readonly PluginFacts[], plugin: PluginFacts): boolean => order.at(-1) === plugin;

const holdsMemory = (plugin: PluginFacts): boolean =>
  plugin.state === "running" || plugin.state === "starting";

function emergency(order: readonly PluginFacts[], measuredRatio: number, policy: Policy): Verdict {
  const actions = order
    .filter((plugin) => holdsMemory(plugin) && !isLast(order, plugin))
    .map((plugin) => shedAction(plugin, true));
  const reason = `${formatPercent(measuredRatio)} of the budget is used, at or over the emergency line of ${formatPercent(policy.emergencyRatio)}`;
  if (actions.length === 0)
    return hold(`${reason}, and nothing but ${order.at(-1)?.name ?? "no plugin"} is left`);
  return {
    rule: "emergency",
    reason: `${reason}: only ${order.at(-1)?.name} is kept`,
    actions,
    rejected: [],
  };
}

/** Milliseconds since the last shed or restore; Infinity when there was none. */
const sinceChangeMs = ({ nowMs, lastChangeMs }: Situation): number => nowMs - (lastChangeMs ?? -Infinity);

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
  const rejected: Rejected[] = [];
  let victim: PluginFacts | undefined;
  for (const plugin of order) {
    const because = whyNotShed(order, plugin, victim);
    if (because === null) victim = plugin;
    else rejected.push({ kind: "shed", plugin: plugin.name, because });
  }
  if (!victim) return { ...hold(`${reason}, and nothing is left to shed`), rejected };
  const held = victim.footprintBytes === null ? "" : `, which holds ${formatBytes(victim.footprintBytes)}`;
  return {
    rule,
    reason: `${reason}: ${victim.name}${held}, is the first in the degradation order`,
    actions: [shedAction(victim, false)],
    rejected,
  };
}

function whyNotShed(order: readonly PluginFacts[], plugin: PluginFacts, victim?: PluginFacts): string | null {
  if (isLast(order, plugin)) return "the last in the degradation order is never shed";
  if (!holdsMemory(plugin)) return plugin.state === "shed" ? "is shed already" : "is not running";
  return victim ? `comes after ${victim.name} in the degradation order` : null;
}

const shedAction = (plugin: PluginFacts, urgent: boolean): Action => ({
  kind: "shed",
  plugin: plugin.name,
  urgent,
  expectedBytes: plugin.footprintBytes,
});

function restoreOne(
  order: readonly PluginFacts[],
  situation: Situation,
  forecast: ForecastFacts | null,
  measuredRatio: number,
  policy: Policy,
): Verdict {
  const waiting = order.toReversed().filter((plugin) => plugin.state === "shed");
  const candidate = waiting.find((plugin) => isStartable(plugin, waiting)) ?? waiting[0];
  if (!candidate) return hold("nothing to do");
  const later = waiting.filter((plugin) => plugin !== candidate);
  const obstacle = whyNoRestore(order, situation, forecast, measuredRatio, policy);
  const because = obstacle ?? whyNoRoom(candidate, situation, policy);
  const rejected = later.map(
    ({ name }): Rejected => ({
      kind: "restore",
      plugin: name,
      because: because ?? `${candidate.name} is restored first`,
    }),
  );
  if (because !== null)
    return {
      ...hold(`${candidate.name} stays shed: ${because}`),
      rejected: [{ kind: "restore", plugin: candidate.name, because }, ...rejected],
    };
  const upper = formatPercent(forecast?.upperRatio ?? 0);
  return {
    rule: "restore",
    reason: `${formatPercent(measuredRatio)} of the budget is used, the forecast's upper bound is ${upper}, and ${candidate.name} fits${learned(candidate)}`,
    actions: [
      { kind: "restore", plugin: candidate.name, urgent: false, expectedBytes: candidate.learnedBytes },
    ],
    rejected,
  };
}

/** What it requires is not shed itself: that one comes back first, whatever the order says. */
const isStartable = ({ requires = [] }: PluginFacts, shed: readonly PluginFacts[]): boolean =>
  !shed.some(({ name }) => requires.includes(name));

const learned = (plugin: PluginFacts): string =>
  plugin.learnedBytes === null
    ? " (its footprint is not known)"
    : ` with its usual ${formatBytes(plugin.learnedBytes)}`;

/** What speaks against restoring any plugin now, or null. */
function whyNoRestore(
  order: readonly PluginFacts[],
  situation: Situation,
  forecast: ForecastFacts | null,
  measuredRatio: number,
  policy: Policy,
): string | null {
  if (measuredRatio > policy.restoreRatio)
    return `${formatPercent(measuredRatio)} of the budget is used, over the restore line of ${formatPercent(policy.restoreRatio)}`;
  const starting = order.find((plugin) => plugin.state === "starting");
  if (starting) return `${starting.name} is still starting`;
  const sinceMs = sinceChangeMs(situation);
  if (sinceMs < policy.dwellMs)
    return `the last change was ${formatDuration(sinceMs)} ago, less than the dwell of ${formatDuration(policy.dwellMs)}`;
  if (forecast === null) return "there is no forecast yet";
  if (situation.lastChangeMs !== null && forecast.atMs < situation.lastChangeMs)
    return "there is no forecast since the last change";
  if (forecast.upperRatio >= policy.shedRatio)
    return `the forecast may reach ${formatPercent(forecast.upperRatio)}, not under the shed line of ${formatPercent(policy.shedRatio)}`;
  return null;
}

/** Whether the plugin's usual footprint fits under the shed line: the reason why not, or null. */
function whyNoRoom(plugin: PluginFacts, { measured }: Situation, policy: Policy): string | null {
  const bytes = plugin.learnedBytes ?? 0;
  const afterRatio = (measured.usedBytes + bytes) / measured.budgetBytes;
  if (afterRatio < policy.shedRatio) return null;
  return `its usual ${formatBytes(bytes)} would bring the use to ${formatPercent(afterRatio)}, not under the shed line of ${formatPercent(policy.shedRatio)}`;
}

const hold = (reason: string): Verdict => ({ rule: "hold", reason, actions: [], rejected: [] });
