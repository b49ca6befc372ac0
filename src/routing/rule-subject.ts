/** What of a request a rule looks at. */

import type { Subject } from "../config/route-rule.ts";
import type { RouteRequest } from "./outcome.ts";

/** The part of a request that rules see. */
export type RuledRequest = Pick<RouteRequest, "platform" | "type" | "payload" | "headers">;

/** The value there; undefined when there is none. */
export function valueAt(subject: Subject, request: RuledRequest): unknown {
  if (subject.kind === "platform") return request.platform;
  if (subject.kind === "type") return request.type ?? "message";
  if (subject.kind === "payload") return fieldOf(request.payload, subject.path);
  const { headers } = request;
  return headers && Object.hasOwn(headers, subject.name) ? headers[subject.name] : undefined;
}

const listIndex = /^(0|[1-9]\d*)$/;

/**
 * The field at `path` of JSON: own properties only, so `constructor` and `__proto__` are there when the JSON has them and
 * not otherwise; a number is a place in a list.
 */
function fieldOf(payload: unknown, path: readonly string[]): unknown {
  let at = payload;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    // A list's `length` is its own, and not in the JSON.
    if (Array.isArray(at) && !listIndex.test(step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}
