/** How a plugin stands: the little that is asked about it many times a second. */

import { isServing, type PluginState } from "./lifecycle.ts";

/** Live: what is read is so now. */
export interface Standing {
  readonly name: string;
  /** The label that it serves. */
  readonly platform: string;
  readonly state: PluginState;
  /** Why it is in this state, for a person. */
  readonly reason: string;
  /** A request may start it. */
  readonly startsOnRequest: boolean;
  /** For one request; null where the manifest is invalid. */
  readonly requestTimeoutMs: number | null;
  /** Requests that it takes at once: all its processes together. */
  readonly mostConcurrent: number;
  /** Requests that may wait beside them. */
  readonly mostQueued: number;
  /** Plugins that have to run before it can. */
  readonly requires: readonly string[];
  /** Requests that its processes have now. */
  readonly inFlight: number;
  /** When memory runs short, more is shed later; protected ones never. */
  readonly priority: number;
  readonly protect: boolean;
  /** Bytes that its manifest expects all its processes together to hold at most; null: it does not say. */
  readonly expectedBytes: number | null;
  /** How long the breaker of its platform stays open; null: as configured for all. */
  readonly breakerResetMs: number | null;
}

/** A plugin that cannot run. */
export const invalidStanding = (name: string, errors: readonly string[]): Standing => ({
  name,
  platform: name,
  state: "invalid",
  reason: errors.join("; "),
  startsOnRequest: false,
  requestTimeoutMs: null,
  mostConcurrent: 1,
  mostQueued: 0,
  requires: [],
  inFlight: 0,
  priority: 0,
  protect: false,
  expectedBytes: null,
  breakerResetMs: null,
});

/** Of several plugins of one platform: the first that serves, else that can be started, else that starts, else any. */
export function mostReady(standings: readonly Standing[]): Standing | null {
  const [first = null] = standings;
  if (first === null || isServing(first.state)) return first;
  return (
    standings.find(({ state }) => isServing(state)) ??
    standings.find(({ startsOnRequest }) => startsOnRequest) ??
    standings.find(({ state }) => state === "starting") ??
    first
  );
}
