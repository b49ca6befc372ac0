/**
 * How long a model that failed to load, or that brought the pressure back, stays away. Deterministic: time is told.
 *
 *   taken --> ran longer than `relapseMs`: the next failure counts as the first one
 *     |
 *     +--> failed, or gave way sooner: away for initial x 2^n, n = how often in a row; `mostMs` at most
 *     +--> its server, which others run, could not be asked: the same from 2 s to a minute, since asking costs nothing
 */

import { mostModels } from "../config/models-schema.ts";
import type { FailureCode } from "./failure.ts";

export interface ModelPutOffTerms {
  initialMs: number;
  mostMs: number;
  relapseMs: number;
}

export const modelPutOffTerms: ModelPutOffTerms = {
  initialMs: 300_000,
  mostMs: 7_200_000,
  relapseMs: 600_000,
};

interface History {
  takenAtMs: number | null;
  inARow: number;
  untilMs: number;
}

/** A server that others run starts after conductor, or anew. */
const passing: readonly FailureCode[] = ["unreachable", "overloaded"];
const askAgain = { initialMs: 2_000, mostMs: 60_000 };

/** 2^n is past any `mostMs` by then. */
const mostDoublings = 30;

export class ModelPutOffs {
  readonly #byModel = new Map<string, History>();
  readonly #terms: ModelPutOffTerms;

  constructor(terms: ModelPutOffTerms = modelPutOffTerms) {
    this.#terms = terms;
  }

  /** It was loaded. */
  taken(model: string, nowMs: number): void {
    this.#of(model).takenAtMs = nowMs;
  }

  /** It did not load, or is itself the reason that it gave way; `code`: how it failed, where an engine told. */
  failed(model: string, nowMs: number, code?: FailureCode): void {
    const { relapseMs } = this.#terms;
    const { initialMs, mostMs } = code !== undefined && passing.includes(code) ? askAgain : this.#terms;
    const history = this.#of(model);
    const { takenAtMs } = history;
    if (takenAtMs !== null && nowMs - takenAtMs > relapseMs) history.inARow = 0;
    history.untilMs = nowMs + Math.min(mostMs, initialMs * 2 ** history.inARow);
    history.inARow = Math.min(mostDoublings, history.inARow + 1);
    history.takenAtMs = null;
  }

  /** It gave way for memory: that counts when it was taken shortly before. */
  gaveWay(model: string, nowMs: number): void {
    const history = this.#of(model);
    const { takenAtMs } = history;
    if (takenAtMs !== null && nowMs - takenAtMs <= this.#terms.relapseMs) this.failed(model, nowMs);
    else history.inARow = 0;
    history.takenAtMs = null;
  }

  /** Until when it stays away; undefined: it may be taken now. */
  untilMs(model: string, nowMs: number): number | undefined {
    const untilMs = this.#byModel.get(model)?.untilMs ?? 0;
    return untilMs > nowMs ? untilMs : undefined;
  }

  #of(model: string): History {
    const known = this.#byModel.get(model);
    if (known) return known;
    if (this.#byModel.size >= mostModels) throw new Error(`more than ${mostModels} models`);
    const history = { takenAtMs: null, inARow: 0, untilMs: 0 };
    this.#byModel.set(model, history);
    return history;
  }
}
