/** The metrics of local models: by name of the model, of which the configuration holds at most 16. */

import type Registry from "prom-client/lib/registry.js";
import { BoundedCounter, BoundedGauge, BoundedHistogram, StateGauge } from "./bounded-metrics.ts";

/** From a small model on a fast machine to a long prompt on a slow one. */
const firstTextBucketsSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const tokensPerSecondBuckets = [0.5, 1, 2, 5, 10, 20, 50, 100, 200];
export const modelStates = ["unloaded", "loading", "ready", "unloading", "failed"] as const;

const of = <Name extends string>(name: string, help: string, ...labels: Name[]) => ({ name, help, labels });

const modelMetrics = (registry: Registry) => ({
  state: new StateGauge(
    registry,
    of("conductor_model_state", "1 for the state that the model is in, 0 for the others.", "model"),
    modelStates,
  ),
  footprint: new BoundedGauge(
    registry,
    of("conductor_model_footprint_bytes", "Memory that the model holds on this host.", "model"),
  ),
  context: new BoundedGauge(
    registry,
    of("conductor_model_context_tokens", "Tokens of context that the model is loaded with.", "model"),
  ),
  generations: new BoundedCounter(
    registry,
    of("conductor_model_generations_total", "Answers of the model by their outcome.", "model", "outcome"),
  ),
  firstText: new BoundedHistogram(
    registry,
    of("conductor_model_first_text_seconds", "Time from the order to the first text.", "model"),
    firstTextBucketsSeconds,
  ),
  tokensPerSecond: new BoundedHistogram(
    registry,
    of("conductor_model_tokens_per_second", "Tokens a second after the first text.", "model"),
    tokensPerSecondBuckets,
  ),
  tokens: new BoundedCounter(
    registry,
    of("conductor_model_tokens_total", "Tokens that the engine counted, by kind.", "model", "kind"),
  ),
  switches: new BoundedCounter(
    registry,
    of("conductor_model_switches_total", "Changes of the model that answers.", "from", "to"),
  ),
});

/** One generation of one model that has ended. */
export interface ModelAnswer {
  model: string;
  finishReason: string;
  /** Its code; null: none. */
  failure: string | null;
  /** It was ended for memory. */
  cut: boolean;
  firstTextMs: number | null;
  tokensPerSecond: number | null;
  usage: { promptTokens: number | null; completionTokens: number | null };
}

export interface ModelGauges {
  name: string;
  state: string;
  heldBytes: number | null;
  loadedContextTokens: number | null;
}

export class ModelMetrics {
  readonly #metrics;

  constructor(registry: Registry) {
    this.#metrics = modelMetrics(registry);
  }

  show(models: readonly ModelGauges[]): void {
    const { state, footprint, context } = this.#metrics;
    for (const { name: model, state: is, heldBytes, loadedContextTokens } of models) {
      state.set({ model }, is);
      footprint.set({ model }, heldBytes);
      context.set({ model }, loadedContextTokens);
    }
  }

  /** The outcome: cut, its failure's code, or how it finished. */
  answered({ model, finishReason, failure, cut, firstTextMs, tokensPerSecond, usage }: ModelAnswer): void {
    const { generations, firstText, tokensPerSecond: pace, tokens } = this.#metrics;
    generations.add({ model, outcome: cut ? "cut" : (failure ?? finishReason) });
    if (firstTextMs !== null) firstText.observe({ model }, firstTextMs / 1_000);
    if (tokensPerSecond !== null) pace.observe({ model }, tokensPerSecond);
    tokens.add({ model, kind: "prompt" }, usage.promptTokens ?? 0);
    tokens.add({ model, kind: "completion" }, usage.completionTokens ?? 0);
  }

  /** null: none answered before, or does now. */
  changed(from: string | null, to: string | null): void {
    this.#metrics.switches.add({ from: from ?? "none", to: to ?? "none" });
  }
}
