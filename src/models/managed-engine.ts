/** The states of one engine around its driver: one load at a time, nothing left of a failed one, a known end of everything. */

import { type Clock, sleep } from "../clock.ts";
import type { Driver } from "./driver.ts";
import {
  type Engine,
  type EngineHealth,
  type EngineKind,
  type EngineState,
  type GenerateRequest,
  type Loaded,
  mostListeners,
  type Part,
  type Unloaded,
} from "./engine.ts";
import { type EngineFailure, engineError, failureOf } from "./failure.ts";
import { Generation, notBegun, type StopReason } from "./generation.ts";
import { requestProblem } from "./request.ts";
import type { SilenceLimits } from "./silence.ts";

export interface EngineLimits extends SilenceLimits {
  /** From the order to load until it answers. */
  loadMs: number;
}

/** A large model on a slow disk, and a long prompt on a slow processor. */
export const defaultLimits: EngineLimits = { loadMs: 300_000, firstTextMs: 120_000, betweenMs: 60_000 };

type Listener = (state: EngineState, failure: EngineFailure | null) => void;

export class ManagedEngine implements Engine {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #limits: EngineLimits;
  readonly #listeners = new Set<Listener>();
  readonly #generations = new Set<Generation>();
  #state: EngineState = "unloaded";
  #failure: EngineFailure | null = null;
  #contextTokens: number | null = null;
  #loadMs = 0;
  #loading: { done: Promise<Loaded>; giveUp: AbortController } | null = null;
  #unloading: Promise<Unloaded> | null = null;

  constructor(driver: Driver, clock: Clock, limits: Partial<EngineLimits> = {}) {
    this.#driver = driver;
    this.#clock = clock;
    this.#limits = { ...defaultLimits, ...limits };
    driver.onEnded = (failure) => this.#endedByItself(failure);
  }

  get kind(): EngineKind {
    return this.#driver.kind;
  }

  get model(): string {
    return this.#driver.model;
  }

  get state(): EngineState {
    return this.#state;
  }

  get failure(): EngineFailure | null {
    return this.#failure;
  }

  get contextTokens(): number | null {
    return this.#contextTokens;
  }

  get generating(): number {
    return this.#generations.size;
  }

  onChange(listener: Listener): () => void {
    if (this.#listeners.size >= mostListeners) throw new Error(`more than ${mostListeners} listeners`);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #move(state: EngineState, failure: EngineFailure | null = null): void {
    this.#state = state;
    this.#failure = failure;
    if (state !== "ready") this.#contextTokens = null;
    for (const listener of this.#listeners) listener(state, failure);
  }

  async load(signal?: AbortSignal): Promise<Loaded> {
    while (this.#unloading) await this.#unloading;
    if (this.#loading) return this.#loading.done;
    if (this.#state === "ready")
      return {
        ok: true,
        contextTokens: this.#contextTokens,
        footprintBytes: await this.footprintBytes(),
        loadMs: this.#loadMs,
      };
    const giveUp = new AbortController();
    const done = this.#load(giveUp, signal).finally(() => {
      this.#loading = null;
    });
    this.#loading = { done, giveUp };
    return done;
  }

  async #load(giveUp: AbortController, signal: AbortSignal | undefined): Promise<Loaded> {
    const { loadMs } = this.#limits;
    const startMs = this.#clock.monotonicMs();
    const wasFailed = this.#state === "failed";
    this.#move("loading");
    const late = this.#clock.after(loadMs, () =>
      giveUp.abort(
        engineError(
          "not-ready",
          `${this.model} was not ready within ${loadMs} ms`,
          "give it more time to load, or take a smaller model",
        ),
      ),
    );
    const onAbort = () => giveUp.abort(givenUp(this.model));
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    try {
      // What an earlier end left behind goes first.
      if (wasFailed) await this.#driver.release();
      giveUp.signal.throwIfAborted();
      const { contextTokens } = await this.#driver.load(giveUp.signal);
      giveUp.signal.throwIfAborted();
      this.#loadMs = this.#clock.monotonicMs() - startMs;
      this.#contextTokens = contextTokens;
      this.#move("ready");
      return {
        ok: true,
        contextTokens,
        footprintBytes: await this.footprintBytes(),
        loadMs: this.#loadMs,
      };
    } catch (error) {
      // Why it was given up says more than what the driver made of that.
      const failure = failureOf(giveUp.signal.aborted ? giveUp.signal.reason : error);
      return { ok: false, failure: await this.#afterFailedLoad(failure) };
    } finally {
      late.cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #afterFailedLoad(failure: EngineFailure): Promise<EngineFailure> {
    let whole = failure;
    try {
      await this.#driver.release();
    } catch (error) {
      const held = failureOf(error);
      whole = { ...failure, message: `${failure.message}; and ${held.message}` };
    }
    this.#move("failed", whole);
    return whole;
  }

  unload(): Promise<Unloaded> {
    this.#unloading ??= this.#unload().finally(() => {
      this.#unloading = null;
    });
    return this.#unloading;
  }

  async #unload(): Promise<Unloaded> {
    const startMs = this.#clock.monotonicMs();
    this.#loading?.giveUp.abort(givenUp(this.model));
    await this.#loading?.done;
    if (this.#state === "unloaded") return { ok: true, proof: "holds-nothing", unloadMs: 0 };
    this.#move("unloading");
    const { failure } = engineError(
      "not-loaded",
      `${this.model} was unloaded meanwhile`,
      "load it again, or ask another model",
    );
    await this.#stopAll({ finishReason: "aborted", failure });
    try {
      const proof = await this.#driver.release();
      this.#move("unloaded");
      return { ok: true, proof, unloadMs: this.#clock.monotonicMs() - startMs };
    } catch (error) {
      const held = failureOf(error);
      this.#move("failed", held);
      return { ok: false, failure: held };
    }
  }

  /** Stops every answer, and waits until the engine works on none, `patienceMs` at most. */
  async #stopAll(reason: StopReason): Promise<void> {
    const stopped = [...this.#generations];
    // Whoever takes its rest later is no burden on the engine any more.
    this.#generations.clear();
    for (const generation of stopped) generation.stop(reason);
    const enough = new AbortController();
    const patience = sleep(this.#clock, patienceMs, enough.signal).catch(() => undefined);
    await Promise.race([Promise.all(stopped.map((each) => each.quiet())), patience]);
    enough.abort();
  }

  #endedByItself(failure: EngineFailure): void {
    if (this.#loading) this.#loading.giveUp.abort(engineErrorOf(failure));
    if (this.#state !== "ready") return;
    void this.#stopAll({ finishReason: "error", failure });
    this.#move("failed", failure);
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Part, void> {
    const refusal = this.#refusal(request);
    if (refusal) {
      yield notBegun(refusal);
      return;
    }
    const generation = new Generation(this.#clock, this.#limits);
    this.#generations.add(generation);
    try {
      yield* generation.run((stop) => this.#driver.stream(request, stop), signal);
    } finally {
      this.#generations.delete(generation);
    }
  }

  #refusal(request: GenerateRequest): EngineFailure | null {
    const problem = requestProblem(request);
    if (problem !== null) return engineError("bad-request", problem, "correct the request").failure;
    if (this.#state !== "ready")
      return engineError("not-loaded", `${this.model} is ${this.#state}`, "load it first").failure;
    const { mostGenerations } = this.#driver;
    if (this.#generations.size < mostGenerations) return null;
    const message = `${this.model} generates ${mostGenerations} at a time already`;
    return engineError("overloaded", message, "try again when one has ended").failure;
  }

  async footprintBytes(): Promise<number | null> {
    return this.#state === "unloaded" ? null : this.#driver.footprintBytes();
  }

  async health(): Promise<EngineHealth> {
    if (this.#state === "ready") return this.#driver.health();
    const failure =
      this.#failure ?? engineError("not-loaded", `${this.model} is ${this.#state}`, "load it first").failure;
    return { status: "unhealthy", failure };
  }
}

/** Longest that an unload waits for an engine which was told to stop. */
const patienceMs = 10_000;

const givenUp = (model: string) =>
  engineError("aborted", `loading ${model} was given up`, "load it again when it is wanted");

const engineErrorOf = ({ code, message, remedy }: EngineFailure) => engineError(code, message, remedy);
