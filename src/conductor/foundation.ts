/** What every step of the startup builds on. */

import type { Clock } from "../clock.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { EventBus } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Policy } from "../scaler/situation.ts";
import type { Startup } from "./startup.ts";

export interface ConductorOptions {
  loaded: LoadedConfig;
  environment: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  log: Log;
}

export interface Foundation extends ConductorOptions {
  startup: Startup;
  events: EventBus;
  startedAtMs: number;
  /** 0..1 */
  random: () => number;
  /** The scaler's thresholds in force; a reload replaces them. */
  policy: Policy;
  /** Null once all has started; else what is waited for. */
  waitingFor: string | null;
}
