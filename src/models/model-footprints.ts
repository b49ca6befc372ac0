/** What each model held at most, by the context that it was loaded with: learned from its own measured footprints. */

import { mostModels } from "../config/models-schema.ts";

/** Contexts of one model that are remembered; the one measured longest ago leaves. */
const mostContexts = 8;
/** Lives (from a load to its end) whose peak is remembered: what was once will not count for ever. */
const mostLives = 8;

export interface LearnedPeak {
  contextTokens: number;
  /** The largest of the remembered lives. */
  bytes: number;
}

export class ModelFootprints {
  /** Peaks by model, by context; one a life, the present one last. */
  readonly #byModel = new Map<string, Map<number, number[]>>();

  /** It was loaded with this context: a new life. */
  loaded(model: string, contextTokens: number): void {
    const lives = this.#take(model, contextTokens);
    if (lives.at(-1) !== 0) lives.push(0);
    if (lives.length > mostLives) lives.shift();
  }

  /** Adds one measured footprint. */
  learn(model: string, contextTokens: number, bytes: number): void {
    const lives = this.#take(model, contextTokens);
    const last = Math.max(0, lives.length - 1);
    lives[last] = Math.max(lives[last] ?? 0, bytes);
  }

  /** Peaks that were recorded in earlier runs. */
  remember(model: string, peaks: readonly LearnedPeak[]): void {
    for (const { contextTokens, bytes } of peaks.slice(-mostContexts))
      this.#take(model, contextTokens).unshift(bytes);
  }

  peaks(model: string): LearnedPeak[] {
    return [...(this.#byModel.get(model) ?? [])]
      .map(([contextTokens, lives]) => ({ contextTokens, bytes: Math.max(0, ...lives) }))
      .filter(({ bytes }) => bytes > 0);
  }

  #take(model: string, contextTokens: number): number[] {
    const contexts = this.#byModel.get(model) ?? new Map<number, number[]>();
    if (!this.#byModel.has(model) && this.#byModel.size >= mostModels)
      throw new Error(`more than ${mostModels} models`);
    this.#byModel.set(model, contexts);
    const lives = contexts.get(contextTokens) ?? [];
    contexts.delete(contextTokens);
    contexts.set(contextTokens, lives);
    const [oldest] = contexts.keys();
    if (contexts.size > mostContexts && oldest !== undefined) contexts.delete(oldest);
    return lives;
  }
}
