/**
 * Holds the best model that fits: drives the engines by what `decideModel` says, one change at a time.
 *
 *   still --evaluate: load, unload, switch, trim, cut--> changing --it ended, however--> still
 *                                                           |
 *                                   emergency: its load is given up, and it ends
 *
 * A model answers only while its engine is ready: what is loading, or has failed, is asked for nothing.
 */

import { type AnswerTerms, answer } from "./answers.ts";
import { Calm } from "./calm.ts";
import { TokenEstimate } from "./conversation.ts";
import type { ModelFeedback } from "./feedback.ts";
import type { AnswerRequest } from "./fitting.ts";
import { HeldModel } from "./held-model.ts";
import { decideModel } from "./ladder.ts";
import {
  holding,
  type LadderPolicy,
  type LadderSituation,
  type LadderVerdict,
  ladderPolicy,
  type ModelFacts,
} from "./ladder-facts.ts";
import { loadPlan } from "./ladder-orders.ts";
import { isReady } from "./ladder-room.ts";
import type {
  ManagerPorts,
  MemoryReading,
  ModelOrdered,
  ModelPart,
  ModelTier,
  StandingOrder,
} from "./manager-ports.ts";
import { ModelChanges } from "./model-changes.ts";
import { type LearnedPeak, ModelFootprints } from "./model-footprints.ts";
import { ModelPutOffs, type ModelPutOffTerms, modelPutOffTerms } from "./model-put-offs.ts";
import { type ModelAsk, type ModelPreflightAnswer, preflight } from "./preflight.ts";
import { type ModelStanding, missingBytes, notLoadedBecause } from "./standing.ts";
import { firstAllowed } from "./step-up.ts";
import { Waiters } from "./waiters.ts";

export interface ManagerTerms {
  policy: LadderPolicy;
  putOffs: ModelPutOffTerms;
}

/** For so long the longest context that was asked for counts. */
const wantedForMs = 600_000;
const memoryRules = new Set(["threshold", "forecast", "emergency"]);

export class ModelManager {
  readonly #ports: ManagerPorts;
  readonly #policy: LadderPolicy;
  readonly #models: readonly HeldModel[];
  readonly #putOffs: ModelPutOffs;
  readonly #footprints = new ModelFootprints();
  readonly #calm = new Calm();
  readonly #estimate = new TokenEstimate();
  readonly #waiters: Waiters;
  readonly #changes: ModelChanges;
  #finishing: string | null = null;
  #gaveUp: string | null = null;
  #wanted: { tokens: number; atMs: number } | null = null;
  #closed = false;

  /** `tiers`: the best first. */
  constructor(tiers: readonly ModelTier[], ports: ManagerPorts, terms: Partial<ManagerTerms> = {}) {
    this.#ports = ports;
    this.#policy = terms.policy ?? ladderPolicy;
    this.#putOffs = new ModelPutOffs(terms.putOffs ?? modelPutOffTerms);
    this.#models = tiers.map((tier) => new HeldModel(tier));
    this.#waiters = new Waiters(ports.clock);
    this.#changes = new ModelChanges(this.#models, ports, this.#putOffs, this.#footprints, () => {
      this.#finishing = null;
      this.#waiters.wake();
    });
  }

  /** Every model as it stands, the best first. */
  facts(): ModelFacts[] {
    const nowMs = this.#ports.clock.monotonicMs();
    const { target } = this.#changes;
    return this.#models.map((model) => {
      const facts = model.facts(this.#footprints.peaks(model.name), this.#putOffs.untilMs(model.name, nowMs));
      // Through the whole change, also between the end of one model and the begin of the next.
      return target?.name === model.name ? { ...facts, state: target.state } : facts;
    });
  }

  /** Tokens of texts, corrected by what the engines counted so far; for cutting a conversation to a context. */
  get estimate(): TokenEstimate {
    return this.#estimate;
  }

  feedback(model: string): ModelFeedback | null {
    return this.#models.find(({ name }) => name === model)?.feedback.summary() ?? null;
  }

  /** What was learned of it; to be kept, and remembered by the next run. */
  peaks(model: string): LearnedPeak[] {
    return this.#footprints.peaks(model);
  }

  /** What is known of a model has changed, such as its file; the next load goes by it. */
  retier(tier: ModelTier): void {
    const model = this.#models.find(({ name }) => name === tier.name);
    if (model) model.tier = tier;
  }

  remember(model: string, peaks: readonly LearnedPeak[]): void {
    this.#footprints.remember(model, peaks);
  }

  /** Decides and begins what is to be done; call it with every reading of memory. What it began is told by `settled`. */
  evaluate(): LadderVerdict {
    const reading = this.#ports.memory();
    if (this.#closed) return holding("conductor stops");
    if (reading === null) return holding("memory was not measured yet");
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const situation = this.#situation(reading, nowMs);
    const verdict = decideModel(situation, this.#policy);
    this.#ports.decided(situation, verdict);
    this.#act(verdict, nowMs);
    return verdict;
  }

  #situation(reading: MemoryReading, nowMs: number): LadderSituation {
    const calmSinceMs = this.#calm.read({ nowMs, ...reading }, this.#policy);
    if (calmSinceMs !== null && nowMs - calmSinceMs >= this.#policy.calmMs) this.#gaveUp = null;
    return {
      nowMs,
      ...reading,
      models: this.facts(),
      contextWanted: this.#contextWanted(nowMs),
      lastChangeMs: this.#changes.lastChangeMs,
      calmSinceMs,
      gaveUp: this.#gaveUp,
    };
  }

  /**
   * A person wants it loaded: begins that where it fits by measured memory, whatever it was put off for. Beside what is loaded,
   * else in place of an idle model. `settled` tells when it has ended. Throws for a name that is none.
   */
  load(name: string): ModelOrdered {
    const model = this.#named(name);
    const reading = this.#ports.memory();
    if (this.#closed) return { ok: false, code: "closing", reason: "conductor stops", blockedBy: [] };
    if (model.ready && !this.#changes.underWay) {
      model.unloadedByPerson = false;
      this.#tellOrders();
      return { ok: true };
    }
    if (this.#changes.underWay)
      return {
        ok: false,
        code: "changing",
        reason: `one change at a time: ${this.#changes.target?.name} is being loaded or unloaded`,
        blockedBy: [],
      };
    if (reading === null)
      return { ok: false, code: "no-room", reason: "memory was not measured yet", blockedBy: [] };
    const plan = loadPlan(name, this.#situation(reading, this.#ports.clock.monotonicMs()), this.#policy);
    if (!plan.ok) return plan;
    model.unloadedByPerson = false;
    this.#tellOrders();
    this.#act(plan.verdict, this.#ports.clock.monotonicMs());
    return { ok: true };
  }

  /**
   * A person wants it gone: it takes no new answers, finishes those under way, goes, and stays away until `load` or `pin`. It is
   * no longer pinned. Throws for a name that is none.
   */
  unload(name: string): ModelOrdered {
    const model = this.#named(name);
    model.unloadedByPerson = true;
    model.pinned = false;
    this.#tellOrders();
    this.evaluate();
    this.#waiters.wake();
    return { ok: true };
  }

  /**
   * The model that a person chose; null: the best that fits, as ever. What it means is in
   * ladder-orders.ts. It is loaded at once where it fits, else when the ladder comes to it; what is in the way is told. Throws
   * for a name that is none.
   */
  pin(name: string | null): ModelOrdered {
    const chosen = name === null ? null : this.#named(name);
    for (const model of this.#models) model.pinned = model === chosen;
    const loaded: ModelOrdered = chosen === null || chosen.ready ? { ok: true } : this.load(chosen.name);
    // It may be loaded later, as memory allows.
    if (chosen) chosen.unloadedByPerson = false;
    this.#tellOrders();
    this.evaluate();
    this.#waiters.wake();
    return loaded;
  }

  /** Takes over the orders of an earlier run; of a model that there is no more, nothing. Nothing begins by it. */
  obey(orders: ReadonlyMap<string, StandingOrder>): void {
    for (const model of this.#models) {
      model.unloadedByPerson = orders.get(model.name) === "unloaded";
      model.pinned = orders.get(model.name) === "pinned";
    }
  }

  #tellOrders(): void {
    const orders = this.#models.flatMap(({ name, pinned, unloadedByPerson }): [string, StandingOrder][] =>
      pinned ? [[name, "pinned"]] : unloadedByPerson ? [[name, "unloaded"]] : [],
    );
    this.#ports.ordered?.(new Map(orders));
  }

  /** Every model as a person wants to see it, the best first. */
  standings(): ModelStanding[] {
    const reading = this.#ports.memory();
    const situation = reading && this.#situation(reading, this.#ports.clock.monotonicMs());
    const facts = this.facts();
    return this.#models.map((model, index) => ({
      facts: facts[index] as ModelFacts,
      quantisation: model.tier.quantisation ?? null,
      feedback: model.feedback.summary(),
      failure: model.engine?.failure ?? model.lastFailure,
      loads: model.loads,
      notLoadedBecause: situation && notLoadedBecause(model.name, situation, this.#policy),
      missingBytes: situation && missingBytes(model.name, situation, this.#policy),
    }));
  }

  /** How often another model, or another context, came to answer. */
  get switches(): number {
    return this.#changes.switches;
  }

  /** The model that answers what names none; null: none is loaded. */
  get answering(): string | null {
    return this.facts().find(isReady)?.name ?? null;
  }

  #named(name: string): HeldModel {
    const model = this.#models.find((each) => each.name === name);
    if (!model) throw new Error(`no model ${name}`);
    return model;
  }

  #act(verdict: LadderVerdict, nowMs: number): void {
    const { rule, action, model } = verdict;
    if (!this.#changes.underWay) this.#finishing = rule === "finish" ? model : null;
    if (action === "hold") {
      if (!this.#changes.underWay && rule !== "finish") this.#waiters.wake();
      return;
    }
    const leaving = action === "switch" ? verdict.from : action === "load" ? null : model;
    const goesFirst = leaving !== null && !(action === "switch" && verdict.beside);
    // Noted before the change begins: it is what the next decision goes by, also if the change fails.
    const down = rule === "slow" || rule === "failing" || memoryRules.has(rule);
    if (down && leaving !== null && action !== "trim") this.#gaveWay(leaving, rule, nowMs);
    if (down) this.#calm.restart();
    this.#changes.begin(verdict);
    if (goesFirst && this.#changes.underWay) this.#finishing = leaving;
  }

  /** The lowest that was given up counts: what stands over it waits for calm. */
  #gaveWay(leaving: string, rule: string, nowMs: number): void {
    const model = this.#models.find(({ name }) => name === leaving);
    if (!memoryRules.has(rule)) {
      this.#putOffs.failed(leaving, nowMs);
      model?.feedback.forget();
      return;
    }
    // The last one is never put off for memory: its own line and `serviceMs` keep it from coming and going.
    if (model !== this.#models.at(-1)) this.#putOffs.gaveWay(leaving, nowMs);
    const active = this.#models.findIndex(({ ready }) => ready);
    const index = model ? this.#models.indexOf(model) : -1;
    if (active >= 0 && index > active) return; // An idle one beside the one that answers.
    const before = this.#models.findIndex(({ name }) => name === this.#gaveUp);
    if (index > before) this.#gaveUp = leaving;
  }

  /** Most that was asked for lately: no model is cut under it. */
  #contextWanted(nowMs: number): number {
    if (this.#wanted !== null && nowMs - this.#wanted.atMs > wantedForMs) this.#wanted = null;
    return this.#wanted?.tokens ?? 0;
  }

  /** No more than each of them can hold: a long question shall not rule out the models that answer the short ones. */
  #wants(tokens: number): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const least = Math.min(...this.#models.map(({ tier }) => tier.contextTokens));
    const within = Math.min(tokens, least);
    if (within >= this.#contextWanted(nowMs)) this.#wanted = { tokens: within, atMs: nowMs };
  }

  /** Which model would answer this now, or why none; changes nothing. */
  preflight(ask: ModelAsk, without: readonly string[] = []): ModelPreflightAnswer {
    const nowMs = this.#ports.clock.monotonicMs();
    const models = this.facts();
    const sinceChangeMs = nowMs - (this.#changes.lastChangeMs ?? nowMs);
    const from = firstAllowed(models, this.#gaveUp, sinceChangeMs, this.#policy);
    const facts = {
      nowMs,
      models,
      memory: this.#ports.memory()?.memory ?? null,
      changing: this.#changes.target?.name ?? null,
      finishing: this.#finishing,
      without,
      held: models.slice(0, from).map(({ name }) => name),
    };
    return preflight(ask, facts, this.#policy);
  }

  /**
   * Answers with the best model that is loaded, or with `model`; with the next smaller one when that fails before its first
   * text. A conversation is cut to what the model that answers can hold. Never throws. Waits at most `mostWaitMs` for a model; whoever leaves the iteration early stops it.
   */
  generate(
    request: AnswerRequest,
    signal: AbortSignal,
    model: string | null = null,
  ): AsyncIterable<ModelPart> {
    const terms: AnswerTerms = {
      ports: this.#ports,
      models: this.#models,
      waiters: this.#waiters,
      estimate: this.#estimate,
      preflight: (ask, without) => {
        this.#wants(ask.wholeTokens ?? ask.contextTokens);
        return this.#closed
          ? {
              decision: "refuse",
              kind: "closing",
              retryAfterMs: null,
              reason: "conductor stops",
              blockedBy: [],
            }
          : this.preflight(ask, without);
      },
      load: (name, needBytes) => this.#changes.loadOnDemand(name, needBytes),
      ended: (held) => {
        void this.#changes.measure(held);
        this.#waiters.wake();
        this.evaluate();
      },
    };
    return answer(request, model, terms, signal);
  }

  /** Measures what the loaded models hold, to learn from it. */
  async measure(): Promise<void> {
    await Promise.all(this.#models.map((model) => this.#changes.measure(model)));
  }

  /** Resolves when no change is under way. */
  settled(): Promise<void> {
    return this.#changes.settled();
  }

  /** Gives everything back; nothing is loaded any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiters.wake();
    await this.#changes.close();
  }
}
