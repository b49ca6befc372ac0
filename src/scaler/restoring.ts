/** Which shed plugin comes back, and whether it may: measured use, forecast, dwell and room must all allow it. Pure. */

import { formatBytes, formatDuration, formatPercent } from "../config/units.ts";
import { dependentsFirst, listed, withRequirements } from "./dependents.ts";
import {
  type ForecastFacts,
  hold,
  type PluginFacts,
  type Policy,
  type Rejected,
  type Situation,
  sinceChangeMs,
  type Verdict,
} from "./situation.ts";

/** One restore, or why there is none. `order` is the degradation order: the last that was shed comes back first. */
export function restoreOne(
  order: readonly PluginFacts[],
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
): Verdict {
  const waiting = order.toReversed().filter((plugin) => plugin.state === "shed");
  const candidate = waiting.find((plugin) => requiresNoneShed(plugin, order)) ?? waiting[0];
  if (!candidate) return hold("nothing to do");
  const followers = followersOf(candidate, order);
  const later = waiting.filter((plugin) => plugin !== candidate);
  const obstacle = whyNoRestore(order, situation, forecast, policy);
  const because = obstacle ?? whyNoRoom(candidate, followers, situation, policy);
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
  const measured = formatPercent(situation.measured.usedBytes / situation.measured.budgetBytes);
  const upper = formatPercent(forecast?.upperRatio ?? 0);
  return {
    rule: "restore",
    reason: `${measured} of the budget is used, the forecast's upper bound is ${upper}, and ${candidate.name} fits${learned(candidate)}${followed(followers)}`,
    actions: [
      { kind: "restore", plugin: candidate.name, urgent: false, expectedBytes: candidate.learnedBytes },
    ],
    rejected,
  };
}

/** What it requires, directly or through others, is not shed: that comes back first, whatever the order says. */
function requiresNoneShed(plugin: PluginFacts, plugins: readonly PluginFacts[]): boolean {
  for (const required of withRequirements(plugin, plugins))
    if (required !== plugin && required.state === "shed") return false;
  return true;
}

/** The plugins that start by themselves once `candidate` runs: blocked, and nothing else that they require is shed. */
const followersOf = (candidate: PluginFacts, plugins: readonly PluginFacts[]): PluginFacts[] => {
  const back = plugins.map((each) => (each === candidate ? { ...each, state: "running" as const } : each));
  const restored = back.filter(({ name }) => name === candidate.name);
  return dependentsFirst(restored, back)
    .filter((each) => each.state === "blocked" && requiresNoneShed(each, back))
    .toReversed();
};

const learned = (plugin: PluginFacts): string =>
  plugin.learnedBytes === null
    ? " (its footprint is not known)"
    : ` with its usual ${formatBytes(plugin.learnedBytes)}`;

const sumLearned = (plugins: readonly PluginFacts[]): number =>
  plugins.reduce((sum, { learnedBytes }) => sum + (learnedBytes ?? 0), 0);

/** ", and so does discord, which waits for it, with its usual 40 MiB"; nothing where nobody follows. */
function followed(followers: readonly PluginFacts[]): string {
  if (followers.length === 0) return "";
  const [does, waits, its] = followers.length === 1 ? ["does", "waits", "its"] : ["do", "wait", "their"];
  const unknown = followers.every(({ learnedBytes }) => learnedBytes === null);
  const bytes = unknown
    ? ` (${its} footprint is not known)`
    : ` with ${its} usual ${formatBytes(sumLearned(followers))}`;
  return `, and so ${does} ${listed(followers)}, which ${waits} for it,${bytes}`;
}

/** What speaks against restoring any plugin now, or null. */
function whyNoRestore(
  order: readonly PluginFacts[],
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
): string | null {
  const measuredRatio = situation.measured.usedBytes / situation.measured.budgetBytes;
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

/** Whether the usual footprints of it and of those that follow fit under the shed line: why not, or null. */
function whyNoRoom(
  plugin: PluginFacts,
  followers: readonly PluginFacts[],
  { measured }: Situation,
  policy: Policy,
): string | null {
  const bytes = plugin.learnedBytes ?? 0;
  const following = sumLearned(followers);
  const afterRatio = (measured.usedBytes + bytes + following) / measured.budgetBytes;
  if (afterRatio < policy.shedRatio) return null;
  const waits = followers.length === 1 ? "waits" : "wait";
  const more =
    followers.length === 0
      ? ""
      : ` and the ${formatBytes(following)} of ${listed(followers)}, which ${waits} for it,`;
  return `its usual ${formatBytes(bytes)}${more} would bring the use to ${formatPercent(afterRatio)}, not under the shed line of ${formatPercent(policy.shedRatio)}`;
}
