/**
 * Whether so many bytes more may be promised. What is measured, what others were promised and have not taken yet, and the
 * growth that the forecast expects meanwhile must stay under the shed line together with them.
 *
 *   fits -----------------------------------------------> admit
 *   a plan of less important plugins frees enough ------> shed-first
 *   only promises, a rise or a shed stand in the way ---> wait: these pass
 *   what runs stands in the way ------------------------> refuse
 *
 * Pure.
 */

import { formatBytes, formatPercent } from "../config/units.ts";
import { shedLine } from "./latest-line.ts";
import { owedBytes, type Reserved } from "./ledger.ts";
import { holdsMemory, sheddingOrder } from "./order.ts";
import type { ForecastFacts, Plan, PluginFacts, Policy, Situation } from "./situation.ts";
import { planFor, type Victims } from "./victims.ts";

/** A promise by its kind: a plugin that starts, a second copy of one, a lease of an operation. */
export interface Promised extends Reserved {
  kind: "start" | "copy" | "lease";
}

/** What stands in the way. `rest`: what no plugin holds. `forecast`: what is expected to be taken meanwhile. */
export interface Blocker {
  kind: "plugin" | Promised["kind"] | "forecast" | "rest";
  /** Plugin, or who has the lease; null for the other kinds. */
  name: string | null;
  bytes: number;
}

export interface RoomFacts {
  situation: Situation;
  promised: readonly Promised[];
  forecast: ForecastFacts | null;
  /** How far the forecast looks. */
  horizonMs: number;
  policy: Policy;
}

export interface RoomRequest {
  bytes: number;
  /** How long it takes until they are taken: the forecast's rise within this time has to fit too. */
  withinMs: number;
  /**
   * Plugins of a smaller priority may be shed for it; with a plugin's name, those that are shed before that one. Null:
   * none.
   */
  importance: number | string | null;
}

interface Weighed {
  /** Bytes that could be promised now. */
  availableBytes: number;
  /** Share of the budget that would be used with what was asked, what is promised and what is expected. */
  afterRatio: number;
  lineRatio: number;
  promisedBytes: number;
  riseBytes: number;
}

export type RoomAnswer = Weighed &
  (
    | { decision: "admit" }
    | {
        decision: "shed-first";
        victims: Victims;
        /** What the answer is where nothing may be shed. */
        otherwise: "wait" | "refuse";
        reason: string;
        blockedBy: Blocker[];
      }
    | { decision: "wait" | "refuse"; reason: string; blockedBy: Blocker[] }
  );

/** Told at most; the largest. */
const mostBlockers = 16;
const mostNamed = 3;

/** Whether `request` fits; see above. */
export function roomFor(request: RoomRequest, facts: RoomFacts): RoomAnswer {
  const { measured, shedding } = facts.situation;
  const weighed = weigh(request, facts);
  const { afterRatio, lineRatio } = weighed;
  const usedRatio = measured.usedBytes / measured.budgetBytes;
  const short = usedRatio >= lineRatio || shedding;
  if (!short && afterRatio < lineRatio) return { ...weighed, decision: "admit" };
  const blockedBy = blockersOf(facts, weighed);
  const reason = short
    ? `memory is short: ${formatPercent(usedRatio)} of the budget is used, the shed line is ${formatPercent(lineRatio)}`
    : `there is no room: ${formatPercent(afterRatio)} of the budget would be used, not under the shed line of ${formatPercent(lineRatio)}`;
  const passes = (measured.usedBytes + request.bytes) / measured.budgetBytes < lineRatio;
  const otherwise = passes ? "wait" : "refuse";
  const told = { ...weighed, reason: `${reason}${namedBlockers(blockedBy, passes)}`, blockedBy };
  // While the scaler sheds already, its victims are not known to be needed for this too.
  const victims = short ? null : whoMakesRoom(request, facts, weighed);
  return victims ? { ...told, decision: "shed-first", victims, otherwise } : { ...told, decision: otherwise };
}

/** Bytes by which the use is expected to grow within `withinMs`: a share of the rise that a forecast that can be trusted shows. */
export function expectedRiseBytes(
  { situation, forecast, horizonMs }: Pick<RoomFacts, "situation" | "forecast" | "horizonMs">,
  withinMs: number,
): number {
  if (forecast?.state !== "ready" || forecast.calibration !== "calibrated") return 0;
  // Of one whose horizon has passed nothing is left.
  if (situation.nowMs >= forecast.atMs + horizonMs) return 0;
  const { usedBytes, budgetBytes } = situation.measured;
  const rise = forecast.valueRatio * budgetBytes - usedBytes;
  return Math.max(0, rise * Math.min(1, withinMs / horizonMs));
}

function weigh({ bytes, withinMs }: RoomRequest, facts: RoomFacts): Weighed {
  const { situation, promised, policy } = facts;
  const { usedBytes, budgetBytes } = situation.measured;
  const lineRatio = shedLine(situation, policy);
  const promisedBytes = promised.reduce((sum, each) => sum + owedBytes(each), 0);
  const riseBytes = expectedRiseBytes(facts, withinMs);
  const spokenForBytes = usedBytes + promisedBytes + riseBytes;
  return {
    availableBytes: Math.max(0, Math.floor(lineRatio * budgetBytes - spokenForBytes)),
    afterRatio: (spokenForBytes + bytes) / budgetBytes,
    lineRatio,
    promisedBytes,
    riseBytes,
  };
}

/** The plan of the victims whose memory suffices, of those that are less important; null when there are none. */
function whoMakesRoom(
  { bytes, importance }: RoomRequest,
  { situation, policy }: RoomFacts,
  { promisedBytes, riseBytes, lineRatio }: Weighed,
): Victims | null {
  if (importance === null) return null;
  const order = sheddingOrder(situation.plugins, policy.order);
  const place =
    typeof importance === "string" ? order.findIndex(({ name }) => name === importance) : order.length;
  // What is as important or more is left alone, and what that requires.
  const marked = order.map((plugin, index): PluginFacts => {
    const less = typeof importance === "string" ? index < place : (plugin.priority ?? 0) < importance;
    return less ? plugin : { ...plugin, protect: true };
  });
  const usedBytes = situation.measured.usedBytes + promisedBytes + riseBytes + bytes;
  const supposed = { ...situation, measured: { ...situation.measured, usedBytes } };
  // The margin is for memory that grows by itself; these bytes are counted to the last.
  const victims = planFor(marked, supposed, { ...policy, marginRatio: 0 });
  return victims.first && freesEnough(victims.plan, lineRatio) ? victims : null;
}

const freesEnough = ({ steps }: Plan, lineRatio: number): boolean =>
  (steps.at(-1)?.afterRatio ?? Infinity) < lineRatio;

/** Who has what is missed: the largest first. */
function blockersOf({ situation, promised }: RoomFacts, { riseBytes }: Weighed): Blocker[] {
  const held = situation.plugins
    .filter(holdsMemory)
    .map(({ name, footprintBytes }): Blocker => ({ kind: "plugin", name, bytes: footprintBytes ?? 0 }));
  const restBytes = situation.measured.usedBytes - held.reduce((sum, { bytes }) => sum + bytes, 0);
  const owed = promised.map((each): Blocker => ({ kind: each.kind, name: each.who, bytes: owedBytes(each) }));
  const blockers: Blocker[] = [
    ...held,
    ...owed,
    { kind: "forecast", name: null, bytes: riseBytes },
    { kind: "rest", name: null, bytes: restBytes },
  ];
  return blockers
    .filter(({ bytes }) => bytes >= 1)
    .map((each) => ({ ...each, bytes: Math.round(each.bytes) }))
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, mostBlockers);
}

const nouns: Record<Blocker["kind"], (name: string) => string> = {
  plugin: (name) => name,
  start: (name) => `the start of ${name}`,
  copy: (name) => `the second copy of ${name}`,
  lease: (name) => `the lease of ${name}`,
  forecast: () => "the growth that is expected",
  rest: () => "what is no plugin",
};

/** "; the lease of backup 2 GiB, android 300 MiB": the largest; where it is enough that others pass, these first. */
function namedBlockers(blockers: readonly Blocker[], passes: boolean): string {
  const lasts = ({ kind }: Blocker) => Number(kind === "plugin" || kind === "rest");
  const ranked = passes ? blockers.toSorted((a, b) => lasts(a) - lasts(b)) : blockers;
  const parts = ranked
    .slice(0, mostNamed)
    .map(({ kind, name, bytes }) => `${nouns[kind](name ?? "")} ${formatBytes(bytes)}`);
  return parts.length === 0 ? "" : `; ${parts.join(", ")}`;
}
