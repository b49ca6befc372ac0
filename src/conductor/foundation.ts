/** What every step of the startup builds on. */

import type { Clock } from "../clock.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { EventBus } from "../events/bus.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import type { RouteRules } from "../routing/rules.ts";
import type { RouteStatistics } from "../routing/statistics.ts";
import type { Policy } from "../scaler/situation.ts";
import type { ReplayBoth } from "./background-replay.ts";
import type { Startup } from "./startup.ts";

export interface ConductorOptions {
  loaded: LoadedConfig;
  environment: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  log: Log;
  /** Replays the record for the evidence; absent: a process of its own does. */
  replay?: ReplayBoth;
}

export interface Foundation extends ConductorOptions {
  startup: Startup;
  events: EventBus;
  eventLog: EventLog;
  startedAtMs: number;
  /** The same moment for durations: the wall clock may be set meanwhile. */
  startedMonotonicMs: number;
  /** 0..1 */
  random: () => number;
  /** The scaler's thresholds in force; a reload replaces them. */
  policy: Policy;
  /** The routing rules in force; a reload replaces them. */
  rules: RouteRules;
  /** What each platform's requests came to. */
  statistics: RouteStatistics;
  /** Null once all has started; else what is waited for. */
  waitingFor: string | null;
}
