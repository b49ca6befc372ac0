/** What the scaler is made with, and what it says of itself. */

import type { Clock } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Actuator, MeasureNow, Recorder } from "./ports.ts";
import type { Shadows } from "./shadows.ts";
import type { ForecastFacts, Measured, Policy, Verdict } from "./situation.ts";

/** observe: it decides and records, and does nothing. */
export type ScalerMode = "act" | "observe";

export interface ScalerOptions {
  clock: Clock;
  log: Log;
  publisher: Publisher;
  policy: Policy;
  /** Absent: act. */
  mode?: ScalerMode;
  actuator: Actuator;
  measureNow: MeasureNow;
  recorder: Recorder;
  /** Policies that decide beside this one and do nothing; absent: none. */
  shadows?: Shadows;
  /** Called after memory changed by an action, so that history before it is not taken for a trend. */
  onIntervention: (atMs: number, what: string) => void;
  /** Memory promised to a plugin that starts is free again after this, though nobody said how the start ended. */
  reservationMs: number;
  /** How far the forecast looks. */
  horizonMs: number;
  /** Names a lease; nobody may guess it. */
  newLeaseId: () => string;
}

export interface ScalerStatus {
  mode: ScalerMode;
  /** Observing: what it would do now, and since when. */
  wish: { decisionId: number; sinceMs: number } | null;
  shedding: boolean;
  acting: string | null;
  lastChangeMs: number | null;
  /** What `decide` said last, also when it was to hold. */
  verdict: Verdict | null;
  measured: Measured | null;
  forecast: ForecastFacts | null;
}
