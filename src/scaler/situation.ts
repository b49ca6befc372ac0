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
  /** Bytes that a start reserves: what it held at most in its lives, and a tenth more; absent or null: not known. */
  peakBytes?: number | null;
  /** Bytes that its manifest expects it to hold at most; absent or null: it does not say. */
  hintBytes?: number | null;
  /** Plugins that have to run before it can; absent: none. */
  requires?: readonly string[];
  /** Never shed, as its manifest says; absent: no. */
  protect?: boolean;
  /** Importance that overrides the place in the order: larger is shed later; absent: 0, less than any place in it. */
  priority?: number;
  /** Requests under way; absent: not known. */
  inFlight?: number;
  /** Bytes that it holds when it has just started, learned from its starts; absent or null: not known. */
  startBytes?: number | null;
  /** Bytes that it takes on each second, as last measured; absent or null: not known. */
  growthPerSecond?: number | null;
  /** Milliseconds since it was shed; absent: it is not, or that is not known. */
  awayMs?: number;
  /** Not restored before: it brought the pressure back when it was. Absent: may be. */
  putOffUntilMs?: number;
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
  /** How much of the way to the horizon (0..1) its history bears out; absent: all of it. */
  reachShare?: number;
}

/**
 * A forecast of `ratio` as far ahead only as its history bears out: 0 for one that has met no outcome. A few seconds of a plugin that warms up make a line to many
 * times the budget, which says nothing of what will be in five minutes.
 */
export const borneOut = (ratio: number, usedRatio: number, { reachShare = 1 }: ForecastFacts): number =>
  usedRatio + (ratio - usedRatio) * reachShare;

/** Requests a second, over all platforms. */
export interface LoadFacts {
  perSecond: number;
  /** Over the last half minute. */
  recentPerSecond: number;
  /** What is normal: the average of ten minutes before that; null while too little is known. */
  usualPerSecond: number | null;
  /** The rate rises, and not by chance (one-sided 95 %). */
  rising: boolean;
}

/** What the time of day announces. */
export interface AheadFacts {
  /** By so much of the budget the use usually rises from now to its peak within the look-ahead. */
  riseRatio: number;
  /** When that peak usually is. */
  atMs: number;
}

/** What local models are about to give back: they go before plugins, and plugins need not go for it. */
export interface GivingFacts {
  bytes: number;
  /** It is waited for until then, in wall-clock time as `nowMs`. */
  untilMs: number;
  /** They were killed: their memory is back within moments. Else they finish what they answer first. */
  urgent: boolean;
  /** Who, for a sentence: "the model large". */
  who: string;
}

/** Everything `decide` may look at, besides the forecast and the policy. What is absent is not known, which never sheds. */
export interface Situation {
  nowMs: number;
  measured: Measured;
  plugins: readonly PluginFacts[];
  /** A victim was stopped and memory is not yet back under the shed line less the margin. */
  shedding: boolean;
  /** When the last plugin was shed or restored; null when none was yet. */
  lastChangeMs: number | null;
  /** Bytes promised to what is starting or has a lease, and not taken yet. */
  reservedBytes?: number;
  /** Bytes by which the use grows each second, over the last seconds; never negative. */
  growthPerSecond?: number;
  /** Milliseconds from the signal until the memory of a victim is back, as lately measured. */
  reclaimMs?: number;
  /** Percent (0..100) of the last 10 s in which every task waited for memory. */
  stallPercent?: number | null;
  load?: LoadFacts | null;
  ahead?: AheadFacts | null;
  giving?: GivingFacts | null;
}

/**
 * Who goes when memory is short. `order`: the first of the degradation order. `culprit`: the one whose growth explains the
 * rise, among the first few of the order. `largest`: the one that holds most. `spare`: as few and as unimportant as
 * free what is needed.
 */
export type VictimChoice = "order" | "culprit" | "largest" | "spare";

/** Thresholds as shares of the budget, 0..1. */
export interface Policy {
  /** mission: fixed lines; adaptive: as late as the time to reclaim allows. Absent (in older records): mission. */
  kind?: "mission" | "adaptive";
  /** Degradation order: the first is shed first, the last never. */
  order: readonly string[];
  shedRatio: number;
  restoreRatio: number;
  emergencyRatio: number;
  marginRatio: number;
  /** Shortest time from a change to a restore, and to a shed on forecast alone. */
  dwellMs: number;
  /** Absent: order. */
  victims?: VictimChoice;
  /** A restored plugin that brings the pressure back waits so long, each time twice as long; absent: never. */
  putOff?: PutOff;
  /** Absent: none of them. */
  triggers?: Triggers;
}

export interface PutOff {
  initialMs: number;
  mostMs: number;
  /** Shed again after it ran for longer than this, a plugin did not bring the pressure back. */
  relapseMs: number;
}

/** What sheds early: only from `shedRatio` less twice the margin on. Null or false: that one does not. */
export interface Triggers {
  /** Percent of 10 s in which every task waited for memory. */
  stallPercent: number;
  /** Requests a second that are many, if they are rising. */
  loadPerSecond: number | null;
  /** Twice the usual requests a second within half a minute. */
  spike: boolean;
  timeOfDay: boolean;
}

export const rules = [
  "emergency",
  "threshold",
  "forecast",
  "continue",
  "stall",
  "load",
  "spike",
  "time-of-day",
  "preflight",
  "models-first",
  "restore",
  "hold",
] as const;

export type Rule = (typeof rules)[number];

/** One thing to do. */
export interface Action {
  kind: "shed" | "restore";
  plugin: string;
  /** Without draining or waiting: an emergency. */
  urgent: boolean;
  /** Bytes that it should free (shed) or take (restore); null when unknown. */
  expectedBytes: number | null;
  /** Most time for its requests under way and its own end, before it is killed; absent: the usual grace. */
  drainMs?: number;
}

/** What else could have been done, and why it was not. */
export interface Rejected {
  kind: "shed" | "restore";
  plugin: string;
  because: string;
}

/** Who would have to go, one after the other and measured in between, to bring the use under `targetRatio`. */
export interface Plan {
  targetRatio: number;
  steps: readonly { plugin: string; bytes: number | null; afterRatio: number }[];
}

/** The answer of `decide`. `hold` has no actions. */
export interface Verdict {
  rule: Rule;
  /** One sentence for a person. */
  reason: string;
  actions: readonly Action[];
  rejected: readonly Rejected[];
  /** Of a shed: the whole plan, whose first step the actions are. */
  plan?: Plan;
}

/** The verdict to do nothing. */
export const hold = (reason: string): Verdict => ({ rule: "hold", reason, actions: [], rejected: [] });

/** Milliseconds since the last shed or restore; Infinity when there was none. */
export const sinceChangeMs = ({ nowMs, lastChangeMs }: Situation): number =>
  nowMs - (lastChangeMs ?? -Infinity);
