/** What a decision about models is made from and what it yields: plain data, so that it can be recorded and replayed. */

import type { EngineState } from "./engine.ts";

/** What a model takes, as far as each source tells: bytes of this host's memory. */
export interface ModelBytes {
  /** By the configuration, for the whole context; 0: its memory is another host's. Null: it does not say. */
  declared: number | null;
  /** Weights, from the file; null: there is none, or it does not tell. */
  weights: number | null;
  /** Of the cache of keys and values for one token, from the file. */
  kvPerToken: number | null;
  /** Most that was measured, by context: tokens and bytes. */
  learned: readonly { contextTokens: number; bytes: number }[];
}

export interface ModelFacts {
  name: string;
  /** 1..100; falls along the ladder. */
  quality: number;
  state: EngineState;
  /** Its whole context by the configuration, and the one that it is loaded with (null: not loaded). */
  contextTokens: number;
  loadedContextTokens: number | null;
  /** Answers at once that it can give, and that it is let give now. */
  mostParallel: number;
  parallel: number;
  bytes: ModelBytes;
  /** Bytes that it holds, as last measured; null: not known, or nothing is loaded. */
  heldBytes: number | null;
  /** Answers under way. */
  generating: number;
  /** When its last answer ended, or its load; null: never loaded. */
  idleSinceMs: number | null;
  loadedAtMs: number | null;
  /** Milliseconds that loading it took; null: not known. */
  loadMs: number | null;
  /** Median over its last answers; null: too few were measured. */
  tokensPerSecond: number | null;
  /** Slower than this it gives way; null: never. */
  slowestTokensPerSecond: number | null;
  /** Share (0..1) of its last answers that failed; null: too few to tell. */
  failedRatio: number | null;
  /** Not loaded before: it failed, or brought the pressure back. Absent: may be. */
  putOffUntilMs?: number;
  /** What its last load failed with; absent: none did since one succeeded. */
  loadFailure?: string;
  /** Why it cannot be loaded at all, such as a file that is cut off; absent: it can. */
  unusable?: string;
  /** A person unloaded it: it stays so until a person loads it. Absent: not so. */
  unloadedByPerson?: true;
  /** A person chose it: no better one is taken in its place. Absent: not so. At most one model of a ladder. */
  pinned?: true;
  /** Gives way at this share of the budget; null: as the policy says. */
  stepDownRatio: number | null;
}

export interface LadderMemory {
  usedBytes: number;
  budgetBytes: number;
  /** Promised and not taken yet. */
  reservedBytes: number;
}

export interface LadderSituation {
  nowMs: number;
  memory: LadderMemory;
  /** Shares of the budget at the horizon: what is expected, and the upper bound of its interval; null: not known. */
  forecast: { valueRatio: number; upperRatio: number } | null;
  /** The best first. */
  models: readonly ModelFacts[];
  /** Tokens that a model has to hold at least, as asked for lately. */
  contextWanted: number;
  /** When a change ended last; null: there was none. */
  lastChangeMs: number | null;
  /** Since when measured and expected use are low; null: they are not. */
  calmSinceMs: number | null;
  /** The model that was given up for memory last, until it is calm; null: none was. */
  gaveUp: string | null;
}

export interface LadderPolicy {
  stepDownRatio: number;
  /** The same for the last model of the ladder: after it nobody answers, so it holds out for longer. */
  lastStepDownRatio: number;
  emergencyRatio: number;
  /** So far under its line the use must stay for a model to be loaded; not for the last one when none is. */
  hysteresisRatio: number;
  /** Calm before a better model is taken. */
  calmMs: number;
  /** After the last model was given up, until it may come back: nobody answers meanwhile. */
  serviceMs: number;
  /** After a change, until memory is measured as it will be. */
  settleMs: number;
  /** A model is not given up sooner after its load, short of an emergency. */
  justLoadedMs: number;
  /** A context is not cut under this. */
  leastContextTokens: number;
  /** From this share of failed answers on, a model gives way. */
  failingRatio: number;
}

export const ladderPolicy: LadderPolicy = {
  stepDownRatio: 0.8,
  lastStepDownRatio: 0.93,
  emergencyRatio: 0.95,
  hysteresisRatio: 0.05,
  calmMs: 300_000,
  serviceMs: 60_000,
  settleMs: 10_000,
  justLoadedMs: 30_000,
  leastContextTokens: 1_024,
  failingRatio: 0.5,
};

/**
 * emergency: the measured use is at the last line. threshold, forecast: at the model's own line, measured or expected. slow,
 * failing: the model itself is the reason. finish: a model shall go when its answers under way have ended. still-held: a failed
 * model has left something. fits: the best that fits is loaded. again: with none loaded, a smaller one than was given up, or
 * the last one.
 * calm: a better one is taken. ordered: a person unloaded it, or chose another one.
 */
export const ladderRules = [
  "emergency",
  "threshold",
  "forecast",
  "slow",
  "failing",
  "finish",
  "still-held",
  "fits",
  "again",
  "calm",
  "ordered",
  "hold",
] as const;

export type LadderRule = (typeof ladderRules)[number];

export interface LadderRejected {
  model: string;
  because: string;
}

/** How a model is to run. */
export interface ModelSetting {
  contextTokens: number;
  parallel: number;
}

/** What to do, with at most one model changed. */
export type LadderAction =
  | { action: "hold"; model: string | null }
  | { action: "load"; model: string; setting: ModelSetting; needBytes: number }
  | { action: "unload"; model: string }
  /** `beside`: both fit at once, so that the new one is loaded first. `model` may be `from` itself, with another context. */
  | {
      action: "switch";
      model: string;
      from: string;
      setting: ModelSetting;
      needBytes: number;
      beside: boolean;
    }
  /** The same model with less: fewer answers at once (at once), or less context (loaded anew). */
  | { action: "trim"; model: string; setting: ModelSetting; needBytes: number }
  /** Its answers end now, and it is unloaded; or its load is given up. */
  | { action: "cut"; model: string };

/** The answer of `decideModel`. Of a hold by the rule finish, `model` takes no new answers. */
export type LadderVerdict = LadderAction & {
  rule: LadderRule;
  /** One sentence for a person. */
  reason: string;
  rejected: readonly LadderRejected[];
};

export const holding = (reason: string, rejected: readonly LadderRejected[] = []): LadderVerdict => ({
  rule: "hold",
  action: "hold",
  model: null,
  reason,
  rejected,
});
