/**
 * Asked before each answer: which model gives it, or why none does. Pure, and cheap enough to stand before every request.
 * Whatever is loaded holds its memory already, with the cache for its whole context; only a load takes more.
 */

import { formatBytes, formatDuration } from "../config/units.ts";
import type { LadderMemory, LadderPolicy, ModelFacts } from "./ladder-facts.ts";
import { isIdle, isReady, lineOf, marginAlone } from "./ladder-room.ts";
import { needOf } from "./need.ts";

export interface ModelAsk {
  /** By name; null: the best that is loaded. */
  model: string | null;
  /** Tokens of prompt and answer together that the model has to have room for. */
  contextTokens: number;
  /** The same with all that could be cut; absent: nothing could. */
  wholeTokens?: number;
}

export interface ModelPreflightFacts {
  nowMs: number;
  /** The best first. */
  models: readonly ModelFacts[];
  memory: LadderMemory | null;
  /** The model that is loading or unloading, and the one that takes no new answers; null: none. */
  changing: string | null;
  finishing: string | null;
  /** Not asked any more: they failed this request. */
  without: readonly string[];
  /** Not loaded before it is calm: given up for memory, or better than what was. */
  held: readonly string[];
}

export interface ModelBlocker {
  /** A model, or "others": whatever else uses the host's memory. */
  name: string;
  bytes: number;
}

export type ModelPreflightAnswer =
  /** `load`: it has to be loaded first; what it takes. */
  | { decision: "proceed"; model: string; load: boolean; needBytes: number; reason: string }
  | { decision: "smaller"; model: string; insteadOf: string; reason: string }
  /** Something is about to end; at most `waitMs`. */
  | { decision: "wait"; waitMs: number; reason: string; blockedBy: readonly ModelBlocker[] }
  /** `retryAfterMs` null: as long as the configuration is as it is, never. */
  | {
      decision: "refuse";
      kind: RefusalKind;
      retryAfterMs: number | null;
      reason: string;
      blockedBy: readonly ModelBlocker[];
    };

/**
 * unknown: there is no such model. too-long: no model holds so many tokens. failed: every model failed this request. memory:
 * none fits. unusable: none can be loaded, whatever is free. busy: those that would do have no place. unloaded: a person wants it so. closing: conductor stops.
 */
export type RefusalKind =
  | "unknown"
  | "too-long"
  | "failed"
  | "memory"
  | "unusable"
  | "busy"
  | "unloaded"
  | "closing";

/** Longest that a request waits for a change, or for a place. */
export const mostWaitMs = 30_000;
/** Until memory may have changed enough to ask again. */
const passesMs = 30_000;

export function preflight(
  ask: ModelAsk,
  facts: ModelPreflightFacts,
  policy: LadderPolicy,
): ModelPreflightAnswer {
  const { models, without } = facts;
  // A person's choice counts where the request leaves it open.
  const start =
    ask.model === null
      ? Math.max(
          0,
          models.findIndex(({ pinned }) => pinned),
        )
      : models.findIndex(({ name }) => name === ask.model);
  if (start < 0)
    return never(
      "unknown",
      `none is called "${ask.model}"; known: ${models.map(({ name }) => name).join(", ")}`,
    );
  const candidates = models.slice(start).filter(({ name }) => !without.includes(name));
  const able = candidates.filter(({ contextTokens }) => contextTokens >= ask.contextTokens);
  const [wanted] = able;
  if (!wanted)
    return candidates.length === 0
      ? refuse("failed", "every model failed", [])
      : never(
          "too-long",
          `${ask.contextTokens} tokens are asked for, and the longest context is ${longest(candidates)}`,
        );
  const open = able.find((model) => isOpen(model, ask, facts));
  if (open && (open === wanted || ask.model === null)) return proceed(open);
  const free = facts.changing === null ? loadable(able, ask, facts, policy) : null;
  if (free) return free;
  if (open)
    return {
      decision: "smaller",
      model: open.name,
      insteadOf: wanted.name,
      reason: `${wanted.name} ${whyNotOpen(wanted)}: ${open.name} answers`,
    };
  return waitOr(able, facts, ask);
}

const whyNotOpen = (wanted: ModelFacts): string =>
  wanted.unloadedByPerson
    ? "is unloaded until it is loaded by a person"
    : isReady(wanted)
      ? "is busy"
      : "is not loaded and does not fit";

const longest = (models: readonly ModelFacts[]): number =>
  Math.max(...models.map(({ contextTokens }) => contextTokens));

const refuse = (
  kind: RefusalKind,
  reason: string,
  blockedBy: readonly ModelBlocker[],
): ModelPreflightAnswer => ({ decision: "refuse", kind, retryAfterMs: passesMs, reason, blockedBy });

const never = (kind: RefusalKind, reason: string): ModelPreflightAnswer => ({
  decision: "refuse",
  kind,
  retryAfterMs: null,
  reason,
  blockedBy: [],
});

const proceed = ({ name }: ModelFacts): ModelPreflightAnswer => ({
  decision: "proceed",
  model: name,
  load: false,
  needBytes: 0,
  reason: `${name} is loaded`,
});

const holds = (model: ModelFacts, { contextTokens }: ModelAsk): boolean =>
  isReady(model) && (model.loadedContextTokens ?? model.contextTokens) >= contextTokens;

const isOpen = (model: ModelFacts, ask: ModelAsk, { finishing, changing }: ModelPreflightFacts): boolean =>
  holds(model, ask) &&
  !model.unloadedByPerson &&
  model.generating < model.parallel &&
  model.name !== finishing &&
  model.name !== changing;

/** A model that may be loaded for this: the named one; without a name the best, where none that is loaded would do. */
function loadable(
  able: readonly ModelFacts[],
  ask: ModelAsk,
  facts: ModelPreflightFacts,
  policy: LadderPolicy,
): ModelPreflightAnswer | null {
  const { models, memory, nowMs } = facts;
  if (memory === null || (ask.model === null && able.some((model) => holds(model, ask)))) return null;
  for (const model of ask.model === null ? able : able.slice(0, 1)) {
    if (model.unusable !== undefined) continue;
    if (model.state !== "unloaded" && model.state !== "failed") continue;
    if (model.unloadedByPerson || (model.putOffUntilMs ?? 0) > nowMs || facts.held.includes(model.name))
      continue;
    const need = needOf(model, model.contextTokens);
    if (need === null || (need > 0 && need >= freeFor(model, models, memory, policy))) continue;
    const reason = `${formatBytes(need)} for ${model.name} fit`;
    return { decision: "proceed", model: model.name, load: true, needBytes: need, reason };
  }
  return null;
}

/** Bytes under its line, less the margin: what is loaded shall not have to go at once. */
export function freeFor(
  model: ModelFacts,
  models: readonly ModelFacts[],
  memory: LadderMemory,
  policy: LadderPolicy,
): number {
  const margin = models.some(isReady) ? policy.hysteresisRatio : marginAlone(model, models, policy);
  const limitBytes = (lineOf(model, models, policy) - margin) * memory.budgetBytes;
  return limitBytes - memory.usedBytes - memory.reservedBytes;
}

function waitOr(
  able: readonly ModelFacts[],
  facts: ModelPreflightFacts,
  ask: ModelAsk,
): ModelPreflightAnswer {
  const { changing, finishing, memory } = facts;
  const blockedBy = blockersOf(facts);
  const wait = (reason: string): ModelPreflightAnswer => ({
    decision: "wait",
    waitMs: mostWaitMs,
    reason,
    blockedBy,
  });
  if (changing !== null) return wait(`${changing} is being loaded or unloaded`);
  if (finishing !== null) return wait(`${finishing} finishes its answers before it gives way`);
  const busy = able.find((model) => holds(model, ask) && !isIdle(model) && !model.unloadedByPerson);
  if (busy)
    return wait(`${busy.name} gives ${busy.generating} answers already, and ${busy.parallel} at once`);
  if (able.every(({ unloadedByPerson }) => unloadedByPerson))
    return refuse("unloaded", "every model that would do is unloaded until it is loaded by a person", []);
  const broken = able.map((model) => whyBroken(model, facts));
  if (!broken.includes(null)) return refuse("unusable", broken.join("; "), []);
  const reason =
    memory === null ? "memory was not measured yet" : "no model that would do is loaded, and none fits";
  return refuse("memory", reason, blockedBy);
}

/** Why it could not be loaded with all memory free; null: it could. */
function whyBroken(model: ModelFacts, { nowMs }: ModelPreflightFacts): string | null {
  const { name, unusable, unloadedByPerson, putOffUntilMs = 0, loadFailure } = model;
  if (unusable !== undefined) return `${name} cannot be used: ${unusable}`;
  if (unloadedByPerson) return `${name} is unloaded until it is loaded by a person`;
  if (putOffUntilMs > nowMs && loadFailure !== undefined)
    return `${name} did not load: ${loadFailure}; it is tried again in ${formatDuration(putOffUntilMs - nowMs)}`;
  if (needOf(model, model.contextTokens) === null)
    return `${name} needs an unknown amount of memory: give it \`memory\``;
  return null;
}

/** Who has the memory, the largest first. */
export function blockersOf({
  models,
  memory,
}: Pick<ModelPreflightFacts, "models" | "memory">): ModelBlocker[] {
  const held = models.flatMap(({ name, heldBytes }) => (heldBytes ? [{ name, bytes: heldBytes }] : []));
  const together = held.reduce((sum, { bytes }) => sum + bytes, 0);
  const others = Math.max(0, (memory?.usedBytes ?? 0) + (memory?.reservedBytes ?? 0) - together);
  return [...held, { name: "others", bytes: others }]
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes);
}
