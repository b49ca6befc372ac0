/** What a decision is made from and what it yields: plain data, so that it can be recorded and replayed. */

/** A plugin as the scaler sees it. */
export interface PluginFacts {
  name: string;
  /**
   * running: holds memory now (also while starting); shed: stopped for memory by the scaler; blocked: holds none, and
   * starts by itself when what it requires runs; absent: neither.
   */
  state: "running" | "starting" | "shed" | "blocked" | "absent";
  /** Bytes that its process tree holds; null when that cannot be read. */
  footprintBytes: number | null;
  /** Bytes that it typically holds when running, learned from the record; null before there is one. */
  learnedBytes: number | null;
  /** Plugins that have to run before it can; absent: none. */
  requires?: readonly string[];
}

/** Memory as just measured. */
export interface Measured {
  usedBytes: number;
  budgetBytes: number;
  /** The cgroup whose use and limit these are; null or absent: the host's. */
  cgroup?: string | null;
}

/** The forecast at the horizon, as shares of the budget (0..1, above 1 when it would not fit). */
export interface ForecastFacts {
  state: "cold" | "ready";
  atMs: number;
  /** Value at the horizon, and that value smoothed by the EMA. */
  valueRatio: number;
  smoothedRatio: number;
  /** Bounds of the 95 % prediction interval. */
  lowerRatio: number;
  upperRatio: number;
  /** Who made it; absent in records of before it was kept. */
  method?: "adaptive" | "ols";
  /** How far the interval can be trusted; null or absent: nobody checks it. */
  calibration?: "calibrating" | "calibrated" | "miscalibrated" | null;
}

/** Everything `decide` may look at, besides the forecast and the policy. */
export interface Situation {
  nowMs: number;
  measured: Measured;
  plugins: readonly PluginFacts[];
  /** A victim was stopped and memory is not yet back under the shed line less the margin. */
  shedding: boolean;
  /** When the last plugin was shed or restored; null when none was yet. */
  lastChangeMs: number | null;
}

/** Thresholds as shares of the budget, 0..1. */
export interface Policy {
  /** Degradation order: the first is shed first, the last never. */
  order: readonly string[];
  shedRatio: number;
  restoreRatio: number;
  emergencyRatio: number;
  marginRatio: number;
  /** Shortest time from a change to a restore, and to a shed on forecast alone. */
  dwellMs: number;
}

export type Rule = "emergency" | "threshold" | "forecast" | "continue" | "restore" | "hold";

/** One thing to do. */
export interface Action {
  kind: "shed" | "restore";
  plugin: string;
  /** Without draining or waiting: an emergency. */
  urgent: boolean;
  /** Bytes that it should free (shed) or take (restore); null when unknown. */
  expectedBytes: number | null;
}

/** What else could have been done, and why it was not. */
export interface Rejected {
  kind: "shed" | "restore";
  plugin: string;
  because: string;
}

/** The answer of `decide`. `hold` has no actions. */
export interface Verdict {
  rule: Rule;
  /** One sentence for a person. */
  reason: string;
  actions: readonly Action[];
  rejected: readonly Rejected[];
}

/** The verdict to do nothing. */
export const hold = (reason: string): Verdict => ({ rule: "hold", reason, actions: [], rejected: [] });

/** Milliseconds since the last shed or restore; Infinity when there was none. */
export const sinceChangeMs = ({ nowMs, lastChangeMs }: Situation): number =>
  nowMs - (lastChangeMs ?? -Infinity);
