/**
 * Which events somebody wants: an event's name, a group (`plugin.*`) or all (`*`). The log lines of plugins are many, and
 * may hold what is nobody else's business: only their whole name `plugin.log` takes them.
 */

import { nearest } from "../config/nearest.ts";
import { type EventName, eventNames } from "./events.ts";

/** Patterns that one subscriber may give. */
export const mostPatterns = 32;

/** Answers whether an event of that name is wanted. */
export type Wanted = (name: EventName) => boolean;

function matches(pattern: string, name: EventName): boolean {
  if (pattern === name) return true;
  if (name === "plugin.log") return false;
  return pattern === "*" || (pattern.endsWith(".*") && name.startsWith(pattern.slice(0, -1)));
}

/** Whether an event is matched by one of the patterns; each name is matched once. */
export function wanted(patterns: readonly string[]): Wanted {
  const names = new Set(eventNames.filter((name) => patterns.some((pattern) => matches(pattern, name))));
  return (name) => names.has(name);
}

/** What is wrong with a pattern, in words; null when at least one event matches it. */
export function patternProblem(pattern: string): string | null {
  if (eventNames.some((name) => matches(pattern, name))) return null;
  const groups = new Set(eventNames.map((name) => `${name.split(".")[0]}.*`));
  const near = nearest(pattern, [...eventNames, ...groups]);
  const hint = near ? `did you mean "${near}"?` : `there are ${eventNames.join(", ")}`;
  return `no event matches "${pattern.slice(0, 80)}"; ${hint}`;
}
