/** How another policy would have done on the same record: what replays it is a port, what is made of it is here. */

import { seededUnit } from "../health/stagger.ts";
import type { Interval } from "../scaler/promotion.ts";
import type { Policy } from "../scaler/situation.ts";
import type { StorageReader } from "../storage/storage.ts";

/** The record that is replayed. */
export type Recorded = Pick<StorageReader, "samples" | "footprints" | "decisions">;

/** Milliseconds since the epoch. */
export interface Span {
  sinceMs: number;
  untilMs: number;
}

/** A stretch of the record under one policy; long enough (a quarter of a day) that one says little of the next. */
export interface Stretch {
  startMs: number;
  /** 0..1 */
  weightedAvailability: number;
  /** Minutes in which the kernel had to kill. */
  oomMinutes: number;
  /** Minutes at or over 95 % of the budget. */
  criticalMinutes: number;
  sheds: number;
}

/**
 * Replays the record of `span` under `policy`: its stretches in the order of time, the same ones for every policy, each
 * plugin counted by its place in `order`. An empty list: nothing is recorded of that time.
 */
export type ReplayPolicy = (
  record: Recorded,
  policy: Policy,
  span: Span,
  order: readonly string[],
) => Promise<readonly Stretch[]>;

export interface Regret {
  stretches: number;
  acting: Totals;
  shadow: Totals;
  /** Weighted availability that the shadow would have had more, 0..1. */
  gain: Interval;
}

export interface Totals {
  weightedAvailability: number;
  oomMinutes: number;
  criticalMinutes: number;
  sheds: number;
}

const resamples = 2_000;
/** With fewer stretches an interval says nothing. */
const leastStretches = 4;

/** The policy that acts, and the shadow beside it. */
export interface PolicyPair {
  acting: Policy;
  shadow: Policy;
}

/** Replays the record under both, each plugin counted by the order of the one that acts; null: too little is recorded. */
export async function regretByReplay(
  record: Recorded,
  { acting, shadow }: PolicyPair,
  span: Span,
  replay: ReplayPolicy,
): Promise<Regret | null> {
  // By its own order a shadow would gain by what it calls important, whatever it does.
  const { order } = acting;
  return regretOf(await replay(record, acting, span, order), await replay(record, shadow, span, order));
}

/** Both policies on the same stretches; null while those are fewer than 4. */
export function regretOf(acting: readonly Stretch[], shadow: readonly Stretch[]): Regret | null {
  const byStart = new Map(acting.map((each) => [each.startMs, each]));
  const pairs = shadow.flatMap((own) => {
    const other = byStart.get(own.startMs);
    return other ? [[other, own] as const] : [];
  });
  if (pairs.length < leastStretches) return null;
  return {
    stretches: pairs.length,
    acting: totalsOf(pairs.map(([each]) => each)),
    shadow: totalsOf(pairs.map(([, each]) => each)),
    gain: bootstrapped(pairs.map(([other, own]) => own.weightedAvailability - other.weightedAvailability)),
  };
}

function totalsOf(stretches: readonly Stretch[]): Totals {
  const sum = (of: (each: Stretch) => number) => stretches.reduce((total, each) => total + of(each), 0);
  return {
    weightedAvailability: sum((each) => each.weightedAvailability) / stretches.length,
    oomMinutes: sum((each) => each.oomMinutes),
    criticalMinutes: sum((each) => each.criticalMinutes),
    sheds: sum((each) => each.sheds),
  };
}

/** The mean with its 95 % percentile interval (Efron 1979), from 2,000 resamples; the same values give the same bounds. */
export function bootstrapped(values: readonly number[]): Interval {
  const unit = seededUnit(values.length);
  const mean = (of: (index: number) => number): number => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[of(i)] ?? 0;
    return sum / values.length;
  };
  const means = Array.from({ length: resamples }, () => mean(() => Math.floor(unit() * values.length)));
  means.sort((a, b) => a - b);
  const at = (share: number) => means[Math.round(share * (resamples - 1))] ?? Number.NaN;
  return { mean: mean((index) => index), low: at(0.025), high: at(0.975) };
}
