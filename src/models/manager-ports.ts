/** What the model manager is told and needs from the rest of the house. */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Engine, FinishReason, Part, Usage } from "./engine.ts";
import type { FailureCode } from "./failure.ts";
import type { LadderMemory, LadderSituation, LadderVerdict, ModelBytes } from "./ladder-facts.ts";
import type { ModelBlocker, RefusalKind } from "./preflight.ts";

/** One rung as it is set up; from the configuration and the header of its file. */
export interface ModelTier {
  name: string;
  quality: number;
  contextTokens: number;
  mostParallel: number;
  /** The type of most of its weights, such as "Q8_0"; absent: not known. */
  quantisation?: string;
  bytes: Omit<ModelBytes, "learned">;
  stepDownRatio: number | null;
  slowestTokensPerSecond: number | null;
  /** Why it cannot be loaded at all: its file is missing, cut off, or none; absent: it can. */
  unusable?: string;
}

export interface Capability {
  quality: number;
  contextTokens: number;
}

/** The model that answers has changed; null: none does. For the event `model.changed`. */
export interface ModelChanged {
  from: string | null;
  to: string | null;
  old: Capability | null;
  new: Capability | null;
  reason: string;
}

export interface MemoryReading {
  memory: LadderMemory;
  /** Null: not known yet. */
  forecast: LadderSituation["forecast"];
}

/** One generation of one model that has ended, however; for metrics. */
export interface ModelAnswered {
  model: string;
  /** error also where the next model was asked in its place. */
  finishReason: FinishReason;
  /** Null: none. */
  failure: FailureCode | null;
  /** It was ended for memory. */
  cut: boolean;
  /** From the order to the first text; null: there was none. */
  firstTextMs: number | null;
  durationMs: number;
  /** After the first text; null: too short to tell. */
  tokensPerSecond: number | null;
  usage: Usage;
  /** As last measured; null: not known. */
  heldBytes: number | null;
}

export interface ManagerPorts {
  clock: Clock;
  log: Log;
  /** An engine that would load this tier with so much context; loads nothing yet, never throws. */
  makeEngine(tier: ModelTier, contextTokens: number): Engine;
  /** As last measured; null: not yet. */
  memory(): MemoryReading | null;
  /** Promises bytes to a load until what it returns is called: nobody else gets them meanwhile. */
  reserve(model: string, bytes: number): () => void;
  changed(event: ModelChanged): void;
  /** Told of every generation that an engine began. */
  answered?(answer: ModelAnswered): void;
  /** Told of the orders in force when a person gave one: to be kept, and given to `obey` by the next run. */
  ordered?(orders: ReadonlyMap<string, StandingOrder>): void;
  /** Each decision with what it was made from: for the record. Holds come as often as is evaluated. */
  decided(situation: LadderSituation, verdict: LadderVerdict): void;
}

/** What a person wants of a model until it is taken back; what it means is in ladder-orders.ts. */
export type StandingOrder = "pinned" | "unloaded";

/** Whether an order of a person was carried out, or begun. no-room, changing: it may be later. */
export type ModelOrdered =
  | { ok: true }
  | {
      ok: false;
      code: "no-room" | "unusable" | "changing" | "closing";
      reason: string;
      blockedBy: readonly ModelBlocker[];
    };

/** Why no model answered. */
export interface ModelRefusal {
  kind: RefusalKind;
  reason: string;
  /** Null: as the configuration is, never. */
  retryAfterMs: number | null;
  blockedBy: readonly ModelBlocker[];
}

/** A part of an answer. First, before any text, who answers; last, and only once, the end. */
export type ModelPart =
  /** `droppedTurns`: of the conversation, so that it fits its context; absent: none. */
  | { kind: "model"; model: string; insteadOf: string | null; droppedTurns?: number }
  | { kind: "text"; text: string }
  | (Extract<Part, { kind: "end" }> & {
      /** Who answered last; null: nobody did. */
      model: string | null;
      /** For the user, when the answer is not what it could be; null: it is. */
      note: string | null;
      refusal: ModelRefusal | null;
    });
