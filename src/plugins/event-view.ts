/**
 * What a plugin may see of what happens. Its author is not the host's owner: texts that may quote what another plugin wrote
 * or said (reasons, details, errors) are left out, and an event that does not stand here is not told at all.
 */

import type { ConductorEvent, EventMap, EventName } from "../events/events.ts";
import { patternProblem, wanted } from "../events/pattern.ts";
import type { Json, PluginEvent } from "../sdk/plugin.ts";

/** The keys of each event that every plugin may see. */
const shown: { [Name in EventName]?: readonly (keyof EventMap[Name] & string)[] } = {
  "plugin.state": ["plugin", "from", "to"],
  "plugin.exit": ["plugin", "exitCode", "signal", "expected", "remaining"],
  "plugin.instances": ["plugin", "instances"],
  "plugin.listed": ["plugin", "present"],
  "plugin.swapped": ["plugin", "from", "to", "outcome"],
  "health.changed": ["platform", "from", "to"],
  "breaker.changed": ["platform", "from", "to"],
  "scaling.decision": ["decisionId", "rule", "reason", "actions", "observed"],
  "scaling.policy": ["shadow", "change", "by"],
  "forecast.trained": ["trigger", "reason", "adopted", "points", "errorBefore", "errorAfter"],
  "forecast.crossing": ["threshold", "direction", "valueRatio", "thresholdRatio", "horizonMs"],
  "forecast.anomaly": ["kind", "value", "detail"],
  "monitor.gap": ["source", "error"],
  "model.changed": ["from", "to", "old", "new"],
  "deadletter.parked": ["deadLetterId", "platform", "kind"],
  "deadletter.redriven": ["deadLetterId", "platform", "outcome"],
  "deadletter.expired": ["platform", "deadLetters"],
};

/** The names that a plugin can be told of. */
const names = Object.keys(shown) as EventName[];

/** What is wrong with a pattern of a plugin; null when some event that it may see matches. */
export function pluginPatternProblem(pattern: string): string | null {
  if (names.some(wanted([pattern]))) return null;
  return (
    patternProblem(pattern) ?? `plugins are not told of ${pattern}; they are told of ${names.join(", ")}`
  );
}

/** The event as `plugin` may see it; null when it may not. Of itself it may see all but its own log. */
export function eventFor(plugin: string, { name, atMs, data }: ConductorEvent): PluginEvent | null {
  const keys: readonly string[] | undefined = shown[name];
  if (keys === undefined) return null;
  const own = "plugin" in data && data.plugin === plugin;
  const seen = Object.entries(data).filter(([key]) => own || keys.includes(key));
  return { name, at: new Date(atMs).toISOString(), data: Object.fromEntries(seen) as Record<string, Json> };
}
