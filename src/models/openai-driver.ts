/**
 * Any OpenAI-compatible server (llama-server, vLLM, LM Studio, OpenAI itself, …) that somebody else runs. It holds none of
 * this host's memory that conductor could give back: loading looks whether the model is there, unloading only forgets it.
 */

import { type Clock, sleep } from "../clock.ts";
import type { Driver, Piece } from "./driver.ts";
import type { EngineHealth, GenerateRequest, ReleaseProof } from "./engine.ts";
import { EngineError, type EngineFailure, engineError, failureOf } from "./failure.ts";
import { failureOfStatus, type HttpCall, isRecord, wholeJson } from "./http-call.ts";
import { type MaxTokensKey, openaiRequest } from "./openai-request.ts";
import { openaiPieces } from "./openai-stream.ts";
import { eventData } from "./sse.ts";
import { textLines } from "./text-lines.ts";

export interface OpenaiSettings {
  /** With the version, without a slash at the end: "https://host/v1". */
  baseUrl: string;
  /** Null: the one that the server lists first. */
  model: string | null;
  /** Name of the environment variable that holds the key; null: none is sent. */
  keyVariable: string | null;
  mostGenerations: number;
  maxTokensKey: MaxTokensKey;
}

export interface HttpPorts {
  clock: Clock;
  call: HttpCall;
  /** Where keys are looked up by name. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** Wait between two looks at a server that is still getting ready (503). */
const pollMs = 250;
/** For a health check: a server that works answers this at once. */
const healthMs = 5_000;
/** Models whose names are told when one is missing. */
const mostTold = 8;

interface Listed {
  id: string;
  contextTokens: number | null;
}

/** `max_model_len` of vLLM, `context_length` of several, `meta.n_ctx_train` of llama-server. */
function contextOf(model: Record<string, unknown>): number | null {
  const meta = isRecord(model.meta) ? model.meta : {};
  const tokens = model.max_model_len ?? model.context_length ?? meta.n_ctx_train;
  return typeof tokens === "number" && Number.isInteger(tokens) && tokens > 0 ? tokens : null;
}

export class OpenaiDriver implements Driver {
  readonly kind = "openai";
  readonly mostGenerations: number;
  onEnded: ((failure: EngineFailure) => void) | null = null;
  readonly #settings: OpenaiSettings;
  readonly #ports: HttpPorts;
  #model: string | null;

  constructor(settings: OpenaiSettings, ports: HttpPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#model = settings.model;
    this.mostGenerations = settings.mostGenerations;
  }

  get model(): string {
    return this.#model ?? "(the server's own)";
  }

  async load(signal: AbortSignal): Promise<{ contextTokens: number | null }> {
    for (;;) {
      try {
        return await this.#find(signal);
      } catch (error) {
        // llama-server answers 503 while it reads its model.
        if (!(error instanceof EngineError) || error.failure.status !== 503) throw error;
        await sleep(this.#ports.clock, error.failure.retryAfterMs ?? pollMs, signal);
      }
    }
  }

  async #find(signal: AbortSignal): Promise<{ contextTokens: number | null }> {
    const models = await this.#list(signal);
    const wanted = this.#settings.model;
    if (wanted === null) {
      const [first] = models ?? [];
      if (!first)
        throw engineError("model-missing", "the server lists no model", "name the model in the settings");
      this.#model = first.id;
      return { contextTokens: first.contextTokens };
    }
    // A server without a list has to be taken at its word.
    if (models === null) return { contextTokens: null };
    const found = models.find(({ id }) => id === wanted);
    if (found) return { contextTokens: found.contextTokens };
    const known = models.slice(0, mostTold).map(({ id }) => id);
    throw engineError(
      "model-missing",
      `the server has no model ${JSON.stringify(wanted)}`,
      known.length === 0 ? "load one there first" : `take one that it has: ${known.join(", ")}`,
    );
  }

  /** The server's models; null when it has no list (404, 405). */
  async #list(signal: AbortSignal): Promise<Listed[] | null> {
    const url = `${this.#settings.baseUrl}/models`;
    const { call, clock } = this.#ports;
    const answer = await call({ method: "GET", url, headers: this.#headers(), signal });
    if (answer.status === 404 || answer.status === 405) return null;
    if (answer.status < 200 || answer.status > 299)
      throw this.#withoutKey(await failureOfStatus(answer, url, clock.nowMs()));
    const { data } = await wholeJson(answer);
    if (!Array.isArray(data))
      throw engineError(
        "bad-answer",
        "its list of models has no data",
        "check that the address is that of an OpenAI-compatible server, with the version: …/v1",
      );
    return data.flatMap((model: unknown) =>
      isRecord(model) && typeof model.id === "string"
        ? [{ id: model.id, contextTokens: contextOf(model) }]
        : [],
    );
  }

  #headers(): Record<string, string> {
    const { keyVariable } = this.#settings;
    if (keyVariable === null) return {};
    const key = this.#ports.environment[keyVariable];
    if (key !== undefined && key !== "") return { authorization: `Bearer ${key}` };
    throw engineError(
      "unauthorized",
      `the environment variable ${keyVariable} is not set`,
      `set ${keyVariable} to the server's key, and start conductor again`,
    );
  }

  /** Some servers quote the key that they refuse. */
  #withoutKey(error: EngineError): EngineError {
    const { keyVariable } = this.#settings;
    const key = keyVariable === null ? "" : (this.#ports.environment[keyVariable] ?? "");
    if (key === "") return error;
    const message = error.failure.message.replaceAll(key, "***");
    return new EngineError({ ...error.failure, message });
  }

  async release(): Promise<ReleaseProof> {
    this.#model = this.#settings.model;
    return "holds-nothing";
  }

  async *stream(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Piece, void> {
    const { baseUrl, maxTokensKey } = this.#settings;
    const { path, body } = openaiRequest(request, this.model, maxTokensKey);
    const url = `${baseUrl}${path}`;
    const { call, clock } = this.#ports;
    // Leaving early closes the connection, which is how such a server is told to stop.
    const left = new AbortController();
    try {
      const answer = await call({
        method: "POST",
        url,
        headers: this.#headers(),
        body,
        signal: AbortSignal.any([signal, left.signal]),
      });
      if (answer.status < 200 || answer.status > 299)
        throw this.#withoutKey(await failureOfStatus(answer, url, clock.nowMs()));
      if (!answer.contentType.includes("text/event-stream"))
        throw engineError(
          "bad-answer",
          `it answered ${answer.contentType || "without a type"}, not a stream of events`,
          "check that the address is that of an OpenAI-compatible server",
        );
      yield* openaiPieces(eventData(textLines(answer.body)));
    } finally {
      left.abort();
    }
  }

  async footprintBytes(): Promise<number | null> {
    return null; // It is not ours to measure.
  }

  async health(): Promise<EngineHealth> {
    const late = new AbortController();
    const timer = this.#ports.clock.after(healthMs, () => late.abort());
    try {
      await this.#list(late.signal);
      return { status: "healthy" };
    } catch (error) {
      const failure = failureOf(error);
      const silent = { code: "timeout" as const, message: `no answer within ${healthMs} ms` };
      return { status: "unhealthy", failure: late.signal.aborted ? { ...failure, ...silent } : failure };
    } finally {
      timer.cancel();
    }
  }
}
