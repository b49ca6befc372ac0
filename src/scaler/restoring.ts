/** Which shed plugin comes back, and whether it may: measured use, forecast, dwell and room must all allow it. Pure. */

import { formatBytes, formatDuration, formatPercent } from "../config/units.ts";
import { dependentsFirst, listed, withRequirements } from "./dependents.ts";
import { shedTarget } from "./latest-line.ts";
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

/**
 * One restore, or why there is none. `order` is the degradation order: the last that was shed comes back first. `adaptive`
 * takes the first of these that fits, so that what is small does not wait for what is large.
 */
export function restoreOne(
  order: readonly PluginFacts[],
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
): Verdict {
  const waiting = order.toReversed().filter((plugin) => plugin.state === "shed");
  const first = waiting.find((plugin) => requiresNoneShed(plugin, order)) ?? waiting[0];
  if (!first) return hold(nothingToDo);
  const obstacle = whyNoRestore(order, situation, forecast, policy);
  const whyNot = (plugin: PluginFacts) =>
    obstacle ??
    whyPutOff(plugin, situation) ??
    whyNoRoom(plugin, followersOf(plugin, order), situation, policy);
  const each = policy.kind === "adaptive";
  const eligible = each ? waiting.filter((plugin) => requiresNoneShed(plugin, order)) : [];
  const candidate = [first, ...eligible].find((plugin) => whyNot(plugin) === null);
  const because = (plugin: PluginFacts): string => {
    const own = each || plugin === first ? whyNot(plugin) : null;
    return own ?? (candidate ? `${candidate.name} is restored first` : (whyNot(first) ?? ""));
  };
  const rejected = [first, ...waiting.filter((plugin) => plugin !== first)]
    .filter((plugin) => plugin !== candidate)
    .map((plugin): Rejected => ({ kind: "restore", plugin: plugin.name, because: because(plugin) }));
  if (!candidate) return { ...hold(`${first.name} stays shed: ${whyNot(first)}`), rejected };
  const measured = formatPercent(situation.measured.usedBytes / situation.measured.budgetBytes);
  const asked = forecast !== null && (!each || hasProvedItself(forecast));
  const bound = asked ? `, the forecast's upper bound is ${formatPercent(forecast.upperRatio)}` : "";
  return {
    rule: "restore",
    reason: `${measured} of the budget is used${bound}, and ${candidate.name} fits${learned(candidate, policy)}${followed(followersOf(candidate, order))}`,
    actions: [
      {
        kind: "restore",
        plugin: candidate.name,
        urgent: false,
        expectedBytes: neededBytes(candidate, policy),
      },
    ],
    rejected,
  };
}

/** Why nothing is done where no plugin waits to be restored. */
export const nothingToDo = "nothing to do";

/** The use is over the restore line, or the dwell is not over: nothing is restored, whatever waits. `whyNoRestore` says which. */
export const restoresNone = (situation: Situation, policy: Policy): boolean =>
  situation.measured.usedBytes / situation.measured.budgetBytes > policy.restoreRatio ||
  sinceChangeMs(situation) < policy.dwellMs;

/** Away for so long, a plugin is tried with less. */
const patienceMs = 300_000;

/**
 * What a plugin is expected to take. `adaptive`: what it holds once it has started, for it can be shed again in time; `mission`:
 * what it usually holds. Null: not known.
 */
function neededBytes({ startBytes, learnedBytes, awayMs = 0 }: PluginFacts, policy: Policy): number | null {
  if (policy.kind !== "adaptive" || typeof startBytes !== "number") return learnedBytes;
  // A start that was unusually large must not keep it away for ever: after a while what it usually holds will do.
  return awayMs < patienceMs ? startBytes : Math.min(startBytes, learnedBytes ?? startBytes);
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

function learned(plugin: PluginFacts, policy: Policy): string {
  const bytes = neededBytes(plugin, policy);
  if (bytes === null) return " (its footprint is not known)";
  const started = policy.kind === "adaptive" && typeof plugin.startBytes === "number";
  return started ? ` with the ${formatBytes(bytes)} of its start` : ` with its usual ${formatBytes(bytes)}`;
}

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
  return policy.kind === "adaptive"
    ? whyForecastForbids(forecast, policy)
    : whyForecastDelays(situation, forecast, policy);
}

function whyForecastDelays(
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
): string | null {
  if (forecast === null) return "there is no forecast yet";
  if (situation.lastChangeMs !== null && forecast.atMs < situation.lastChangeMs)
    return "there is no forecast since the last change";
  if (forecast.upperRatio >= policy.shedRatio)
    return `the forecast may reach ${formatPercent(forecast.upperRatio)}, not under the shed line of ${formatPercent(policy.shedRatio)}`;
  return null;
}

/** An interval that has proved itself must end under the emergency line; any other says too little to keep a plugin down. */
function whyForecastForbids(forecast: ForecastFacts | null, policy: Policy): string | null {
  if (forecast === null || !hasProvedItself(forecast) || forecast.upperRatio < policy.emergencyRatio)
    return null;
  return `the forecast may reach ${formatPercent(forecast.upperRatio)}, not under the emergency line of ${formatPercent(policy.emergencyRatio)}`;
}

const hasProvedItself = ({ state, calibration }: ForecastFacts): boolean =>
  state === "ready" && calibration === "calibrated";

function whyPutOff({ putOffUntilMs }: PluginFacts, { nowMs }: Situation): string | null {
  if (putOffUntilMs === undefined || nowMs >= putOffUntilMs) return null;
  return `memory ran short again when it was restored last: it is put off for another ${formatDuration(putOffUntilMs - nowMs)}`;
}

/** `adaptive`: the growth of so many seconds has to fit too, while the plugin starts. */
const startSeconds = 1;

/** Whether what it and those that follow take fits under the shed line: why not, or null. */
function whyNoRoom(
  plugin: PluginFacts,
  followers: readonly PluginFacts[],
  situation: Situation,
  policy: Policy,
): string | null {
  const { measured, reservedBytes = 0, growthPerSecond = 0, ahead = null } = situation;
  const bytes = neededBytes(plugin, policy) ?? 0;
  const following = sumLearned(followers);
  const adaptive = policy.kind === "adaptive";
  const growing = adaptive ? startSeconds * growthPerSecond : 0;
  const promised = reservedBytes + growing;
  const lineRatio = adaptive ? shedTarget(situation, policy) : policy.shedRatio;
  const riseRatio = policy.triggers?.timeOfDay ? (ahead?.riseRatio ?? 0) : 0;
  const afterRatio = (measured.usedBytes + bytes + following + promised) / measured.budgetBytes + riseRatio;
  if (afterRatio < lineRatio) return null;
  const waits = followers.length === 1 ? "waits" : "wait";
  const more =
    followers.length === 0
      ? ""
      : ` and the ${formatBytes(following)} of ${listed(followers)}, which ${waits} for it,`;
  const others = promised > 0 ? ` with ${formatBytes(promised)} that others are about to take` : "";
  const rise = riseRatio > 0 ? ` at the peak that this time of the day brings` : "";
  return `its usual ${formatBytes(bytes)}${more}${others} would bring the use to ${formatPercent(afterRatio)}${rise}, not under the ${adaptive ? "line" : "shed line"} of ${formatPercent(lineRatio)}`;
}
