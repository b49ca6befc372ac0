/** A driver whose model is a script: it takes time and memory as told, and fails when told. */

import { type Clock, sleep } from "../../src/clock.ts";
import type { Driver, Piece } from "../../src/models/driver.ts";
import type { EngineHealth, GenerateRequest, ReleaseProof } from "../../src/models/engine.ts";
import { type EngineFailure, engineError } from "../../src/models/failure.ts";

export interface Script {
  bytes: number;
  loadMs: number;
  tokenMs: number;
  /** Answers have so many tokens, unless fewer are asked for. */
  answerTokens: number;
  failLoads: number;
  /** Answers to fail, and after how many tokens. */
  failAnswers: number;
  failAfterTokens: number;
  /** Releases that give nothing back. */
  failReleases: number;
}

export const script = (more: Partial<Script> = {}): Script => ({
  bytes: 100 * 2 ** 20,
  loadMs: 1_000,
  tokenMs: 100,
  answerTokens: 10,
  failLoads: 0,
  failAnswers: 0,
  failAfterTokens: 0,
  failReleases: 0,
  ...more,
});

export class ScriptedDriver implements Driver {
  readonly kind = "command";
  readonly mostGenerations = 4;
  onEnded: ((failure: EngineFailure) => void) | null = null;
  heldBytes = 0;
  loads = 0;
  readonly #clock: Clock;
  readonly #bytes: number;

  constructor(
    readonly model: string,
    readonly contextTokens: number,
    readonly script: Script,
    clock: Clock,
    bytes = script.bytes,
  ) {
    this.#clock = clock;
    this.#bytes = bytes;
  }

  async load(signal: AbortSignal): Promise<{ contextTokens: number }> {
    this.loads++;
    // Half of it is read when half of the time is over.
    this.heldBytes = this.#bytes / 2;
    await sleep(this.#clock, this.script.loadMs, signal);
    if (this.script.failLoads > 0) {
      this.script.failLoads--;
      throw engineError("model-broken", "it does not load", "take another");
    }
    this.heldBytes = this.#bytes;
    return { contextTokens: this.contextTokens };
  }

  async release(): Promise<ReleaseProof> {
    if (this.script.failReleases > 0) {
      this.script.failReleases--;
      throw engineError("still-held", "it holds on", "wait");
    }
    this.heldBytes = 0;
    return "process-gone";
  }

  async *stream(request: GenerateRequest, signal: AbortSignal): AsyncIterable<Piece> {
    const fails = this.script.failAnswers > 0;
    if (fails) this.script.failAnswers--;
    const tokens = Math.min(request.maxTokens, this.script.answerTokens);
    for (let token = 0; token < tokens; token++) {
      await sleep(this.#clock, this.script.tokenMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (fails && token >= this.script.failAfterTokens)
        throw engineError("server-error", "it failed", "try again");
      yield { kind: "text", text: `${this.model} ` };
    }
    const usage = { promptTokens: 10, completionTokens: tokens };
    yield { kind: "end", finishReason: tokens === request.maxTokens ? "length" : "stop", usage };
  }

  async footprintBytes(): Promise<number | null> {
    return this.heldBytes || null;
  }

  async health(): Promise<EngineHealth> {
    return { status: "healthy" };
  }

  /** Its process ends by itself. */
  crash(): void {
    this.heldBytes = 0;
    this.onEnded?.(engineError("crashed", `${this.model} crashed`, "look at its log").failure);
  }
}
