/** ollama: it holds the model in a process of its own, which it starts and ends when told. */

import { sleep } from "../clock.ts";
import type { Driver, Piece } from "./driver.ts";
import type { EngineHealth, GenerateRequest, ReleaseProof } from "./engine.ts";
import { EngineError, type EngineFailure, engineError, failureOf } from "./failure.ts";
import { failureOfStatus, wholeJson } from "./http-call.ts";
import {
  heldIn,
  loadBody,
  type OllamaHeld,
  type OllamaTerms,
  ollamaPieces,
  ollamaRequest,
  trainedContextIn,
  unloadBody,
} from "./ollama-api.ts";
import type { HttpPorts } from "./openai-driver.ts";
import { textLines } from "./text-lines.ts";

export interface OllamaSettings extends OllamaTerms {
  /** Without a slash at the end: "http://127.0.0.1:11434". */
  baseUrl: string;
  mostGenerations: number;
}

/** From the order to unload until `/api/ps` does not list the model any more. */
const releaseMs = 15_000;
const pollMs = 50;
/** For a question that is answered from memory. */
const askMs = 5_000;

export class OllamaDriver implements Driver {
  readonly kind = "ollama";
  readonly model: string;
  readonly mostGenerations: number;
  onEnded: ((failure: EngineFailure) => void) | null = null;
  readonly #settings: OllamaSettings;
  readonly #ports: HttpPorts;
  /** A load was ordered, so that something may be held. */
  #ordered = false;

  constructor(settings: OllamaSettings, ports: HttpPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.model = settings.model;
    this.mostGenerations = settings.mostGenerations;
  }

  async load(signal: AbortSignal): Promise<{ contextTokens: number | null }> {
    const shown = await this.#show(signal);
    this.#ordered = true;
    await this.#ask("POST", "/api/generate", loadBody(this.#settings), signal);
    if ((await this.#held(signal)) === null)
      throw engineError(
        "not-ready",
        `ollama took the order to load ${this.model} and does not list it as running`,
        "look at ollama's log; keep_alive must not be 0",
      );
    return { contextTokens: this.#settings.contextTokens ?? trainedContextIn(shown) };
  }

  async #show(signal: AbortSignal): Promise<Record<string, unknown>> {
    try {
      return await this.#ask("POST", "/api/show", { model: this.model }, signal);
    } catch (error) {
      if (!(error instanceof EngineError) || error.failure.code !== "model-missing") throw error;
      throw engineError(
        "model-missing",
        `ollama has no model ${JSON.stringify(this.model)}`,
        `run: ollama pull ${this.model}`,
        { status: 404 },
      );
    }
  }

  async #ask(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> {
    const url = `${this.#settings.baseUrl}${path}`;
    const { call, clock } = this.#ports;
    const answer = await call({ method, url, ...(body === undefined ? {} : { body }), signal });
    if (answer.status < 200 || answer.status > 299) throw await failureOfStatus(answer, url, clock.nowMs());
    return wholeJson(answer);
  }

  /** The same, given up after `timeoutMs`. */
  async #askWithin(timeoutMs: number, method: "GET" | "POST", path: string, body?: unknown) {
    const late = new AbortController();
    const timer = this.#ports.clock.after(timeoutMs, () => late.abort());
    try {
      return await this.#ask(method, path, body, late.signal);
    } catch (error) {
      if (!late.signal.aborted) throw error;
      throw engineError("timeout", `${path}: no answer within ${timeoutMs} ms`, "look at ollama's log");
    } finally {
      timer.cancel();
    }
  }

  async #held(signal: AbortSignal): Promise<OllamaHeld | null> {
    return heldIn(await this.#ask("GET", "/api/ps", undefined, signal), this.model);
  }

  async release(): Promise<ReleaseProof> {
    if (!this.#ordered) return "holds-nothing";
    const { clock } = this.#ports;
    const endMs = clock.monotonicMs() + releaseMs;
    try {
      await this.#askWithin(releaseMs, "POST", "/api/generate", unloadBody(this.#settings));
      // It answers before its runner has ended: the list is what tells.
      while (heldIn(await this.#askWithin(askMs, "GET", "/api/ps"), this.model) !== null) {
        if (clock.monotonicMs() >= endMs)
          throw engineError(
            "still-held",
            `ollama still lists ${this.model} ${releaseMs} ms after it was told to unload it`,
            "look for another client that uses it, or restart ollama",
          );
        await sleep(clock, pollMs);
      }
    } catch (error) {
      const failure = failureOf(error);
      // Nobody listens any more: with the server its model has gone.
      if (failure.code !== "unreachable") throw stillHeld(failure);
    }
    this.#ordered = false;
    return "server-says-so";
  }

  async *stream(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Piece, void> {
    const { path, body } = ollamaRequest(request, this.#settings);
    const url = `${this.#settings.baseUrl}${path}`;
    const { call, clock } = this.#ports;
    // Closing the connection is how ollama is told to stop.
    const left = new AbortController();
    try {
      const answer = await call({
        method: "POST",
        url,
        body,
        signal: AbortSignal.any([signal, left.signal]),
      });
      if (answer.status < 200 || answer.status > 299) throw await failureOfStatus(answer, url, clock.nowMs());
      yield* ollamaPieces(textLines(answer.body));
    } finally {
      left.abort();
    }
  }

  /** Of this host's memory: what lies on a graphics card does not count. */
  async footprintBytes(): Promise<number | null> {
    try {
      const held = heldIn(await this.#askWithin(askMs, "GET", "/api/ps"), this.model);
      return held === null ? null : Math.max(0, held.sizeBytes - held.vramBytes);
    } catch (error) {
      failureOf(error);
      return null;
    }
  }

  async health(): Promise<EngineHealth> {
    try {
      await this.#askWithin(askMs, "GET", "/api/ps");
      return { status: "healthy" };
    } catch (error) {
      return { status: "unhealthy", failure: failureOf(error) };
    }
  }
}

function stillHeld(failure: EngineFailure): EngineError {
  return failure.code === "still-held"
    ? new EngineError(failure)
    : engineError("still-held", `it is not known whether ollama let go: ${failure.message}`, failure.remedy);
}
