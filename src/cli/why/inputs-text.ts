/** What a decision was made from, line by line; what was not known has no line. */

import { formatBytes, formatDuration, formatPercent } from "../../config/units.ts";
import { trustOf } from "../forecast-facts.ts";
import type { DecisionFacts, InputFacts } from "./decision-facts.ts";

/** A label and what stands behind it. */
export type Line = readonly [label: string, text: string];

/** Plugins that are listed; the rest is counted. */
const mostPlugins = 20;

export function inputLines({ inputs, forecast, at }: DecisionFacts): Line[] {
  const { measured, growthPerSecond, reclaimMs, reservedBytes, stallPercent, load, ahead } = inputs;
  const lines: Line[] = [];
  if (measured) {
    const { usedBytes, budgetBytes, cgroup } = measured;
    const share = formatPercent(usedBytes / budgetBytes);
    const scope = cgroup ? `, in cgroup ${shortPath(cgroup)}` : "";
    lines.push(["measured", `${formatBytes(usedBytes)} of ${formatBytes(budgetBytes)} (${share})${scope}`]);
  }
  if (growthPerSecond) lines.push(["growing", `by ${formatBytes(growthPerSecond)} a second`]);
  lines.push(["forecast", forecast ? forecastText(forecast) : "none yet"]);
  if (reclaimMs)
    lines.push([
      "reclaim",
      `a plugin's memory is expected back ${formatDuration(reclaimMs)} after the signal`,
    ]);
  if (reservedBytes)
    lines.push(["promised", `${formatBytes(reservedBytes)} to what starts or has a lease, not taken yet`]);
  if (typeof stallPercent === "number")
    lines.push(["stalls", `for ${stallPercent.toFixed(1)} % of the last 10 s everything waited for memory`]);
  if (load) lines.push(["requests", loadText(load)]);
  if (ahead)
    lines.push([
      "time of day",
      `the use usually rises by ${formatPercent(ahead.riseRatio)} until ${ahead.at.slice(11, 16)} UTC`,
    ]);
  if (inputs.lastChangeAt) {
    const sinceMs = Date.parse(at) - Date.parse(inputs.lastChangeAt);
    lines.push([
      "last change",
      sinceMs >= 0
        ? `a plugin was stopped or brought back ${formatDuration(sinceMs)} before`
        : inputs.lastChangeAt,
    ]);
  }
  return lines;
}

const trustTexts: Readonly<Record<string, string>> = {
  calibrating: "its interval is still being checked",
  calibrated: "its interval has proved itself",
  miscalibrated: "its interval missed too often to be trusted",
};

function forecastText(forecast: NonNullable<DecisionFacts["forecast"]>): string {
  const { state, smoothedRatio, lowerRatio, upperRatio, calibration, reachShare = 1 } = forecast;
  const value = formatPercent(smoothedRatio);
  // Its interval goes from far below nothing to many times the budget, which tells nobody anything.
  if (state === "cold") return `${value} (${trustOf(forecast)}: too little history yet to shed for it)`;
  const meaning = trustTexts[calibration ?? ""];
  const trust = [
    meaning === undefined ? trustOf(forecast) : `${trustOf(forecast)}: ${meaning}`,
    ...(reachShare < 1 ? [`borne out for ${formatPercent(reachShare)} of the way there`] : []),
  ].join(", ");
  return `${value}, 95 % interval ${formatPercent(lowerRatio)} to ${formatPercent(upperRatio)} (${trust})`;
}

/** The last folder of a long path. */
const shortPath = (path: string): string =>
  path.length <= 40 ? path : `…${path.slice(path.lastIndexOf("/"))}`;

function loadText({ perSecond, recentPerSecond, usualPerSecond, rising }: NonNullable<InputFacts["load"]>) {
  const usual = usualPerSecond === null ? "" : `, usually ${usualPerSecond.toFixed(1)}`;
  return `${perSecond.toFixed(1)} a second, ${recentPerSecond.toFixed(1)} in the last 30 s${usual}${rising ? ", and rising" : ""}`;
}

/** What was in force. */
export function policyLines({ inputs: { thresholds }, policy }: DecisionFacts): Line[] {
  if (!thresholds) return policy ? [["policy", policy]] : [];
  const { kind, shedRatio, marginRatio, restoreRatio, emergencyRatio, dwellMs, order, victims } = thresholds;
  const adaptive = kind === "adaptive";
  const from = adaptive
    ? `shed from ${formatPercent(shedRatio)} on, or earlier at a fast growth`
    : `shed from ${formatPercent(shedRatio)} on`;
  const until = adaptive ? "" : `, until under ${formatPercent(shedRatio - marginRatio)}`;
  return [
    [
      "policy",
      `${kind ?? policy ?? "mission"}: ${from}${until}; restore up to ${formatPercent(restoreRatio)}; emergency from ${formatPercent(emergencyRatio)} on; dwell ${formatDuration(dwellMs)}`,
    ],
    [
      "order",
      `${bounded(order).join(", ")}${victims && victims !== "order" ? ` (victims: ${victims})` : ""}`,
    ],
  ];
}

function bounded(names: readonly string[]): string[] {
  if (names.length <= mostPlugins) return [...names];
  return [...names.slice(0, mostPlugins), `and ${names.length - mostPlugins} more`];
}

/** Each plugin as it stood: the first line has the label. */
export function pluginLines({ inputs: { plugins }, at }: DecisionFacts): Line[] {
  const lines = plugins.slice(0, mostPlugins).map((plugin): string => {
    const { name, state, footprintBytes, learnedBytes, growthPerSecond, inFlight, protect, putOffUntil } =
      plugin;
    const parts = [state];
    if (typeof footprintBytes === "number") parts.push(`holds ${formatBytes(footprintBytes)}`);
    if (typeof learnedBytes === "number") parts.push(`usually ${formatBytes(learnedBytes)}`);
    if (growthPerSecond) parts.push(`grows by ${formatBytes(growthPerSecond)} a second`);
    if (inFlight) parts.push(inFlight === 1 ? "1 request under way" : `${inFlight} requests under way`);
    if (protect) parts.push("protected");
    if (putOffUntil)
      parts.push(`put off for another ${formatDuration(Date.parse(putOffUntil) - Date.parse(at))}`);
    return `${name}: ${parts.join(", ")}`;
  });
  if (plugins.length > mostPlugins)
    lines.push(`and ${plugins.length - mostPlugins} more (-o json has them all)`);
  return lines.map((line, index) => [index === 0 ? "plugins" : "", line]);
}
