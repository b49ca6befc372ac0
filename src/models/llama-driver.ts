/** llama.cpp in a process of conductor's own: the bundled plugin `llama`, one process for one model. */

import type { Json } from "../sdk/plugin.ts";
import type { Driver, Piece } from "./driver.ts";
import type { EngineHealth, GenerateRequest, ReleaseProof } from "./engine.ts";
import { EngineError, type EngineFailure, engineError, type FailureCode, quoted } from "./failure.ts";
import { readGguf } from "./gguf.ts";
import type { ByteRanges } from "./gguf-bytes.ts";
import { type PluginCall, PluginFailure } from "./plugin-call.ts";

export interface LlamaSettings {
  /** Absolute path of the GGUF. */
  file: string;
  /** Tokens of prompt and answer together; no more than the model was trained with are used. */
  contextTokens: number;
  /** Null: as many as the machine has cores. */
  threads: number | null;
  /** Layers on the graphics card; 0: none. */
  gpuLayers: number | "auto";
}

export interface LlamaPorts {
  plugin: PluginCall;
  /** Opens a file for reads of some of its bytes. Throws what the system says. */
  openBytes(path: string): Promise<ByteRanges>;
}

/** Reading a model of tens of gigabytes from a slow disk; the engine's own limit comes first. */
const mostLoadMs = 3_600_000;
/** The engine watches for silence itself. */
const mostSilenceMs = 3_600_000;
/** From an abort until the plugin has to say that it generates no more: one step of a large model. */
const settleMs = 10_000;
const stopGraceMs = 2_000;
const healthMs = 5_000;

const isRecord = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Failures that the plugin tells of as such. */
const told: readonly FailureCode[] = [
  "bad-request",
  "model-missing",
  "model-broken",
  "unsupported",
  "not-installed",
  "not-loaded",
  "out-of-memory",
  "overloaded",
  "aborted",
  "server-error",
];

/** An answer `{error: {code, message, remedy}}` of the plugin as what it is; null for any other. */
function toldIn(chunk: Json): EngineError | null {
  if (!isRecord(chunk) || !isRecord(chunk.error)) return null;
  const { code, message, remedy } = chunk.error;
  const known = told.find((each) => each === code) ?? "server-error";
  return engineError(known, quoted(String(message)), String(remedy ?? "look at the plugin's log"));
}

const count = (value: Json | undefined): number | null => (typeof value === "number" ? value : null);

export class LlamaDriver implements Driver {
  readonly kind = "llama";
  readonly mostGenerations = 1;
  onEnded: ((failure: EngineFailure) => void) | null = null;
  readonly #settings: LlamaSettings;
  readonly #ports: LlamaPorts;
  #started = false;

  constructor(settings: LlamaSettings, ports: LlamaPorts) {
    this.#settings = settings;
    this.#ports = ports;
    ports.plugin.onExit((end) => {
      if (this.#started) this.onEnded?.(this.#crash(end.cause, end.outOfMemory));
    });
  }

  get model(): string {
    return this.#settings.file;
  }

  async load(signal: AbortSignal): Promise<{ contextTokens: number | null }> {
    // What the file itself can tell costs no process.
    await this.#look();
    signal.throwIfAborted();
    this.#started = true;
    const started = await this.#ports.plugin.start();
    if (!started.ok)
      throw engineError(
        "refused",
        `the plugin does not start: ${quoted(started.message)}`,
        `look at its log: conductor plugins logs ${this.#ports.plugin.name}`,
      );
    signal.throwIfAborted();
    const { file, contextTokens, threads, gpuLayers } = this.#settings;
    const answer = await this.#ask("load", { file, contextTokens, threads, gpuLayers }, mostLoadMs, signal);
    return { contextTokens: isRecord(answer) ? count(answer.contextTokens) : null };
  }

  async #look(): Promise<void> {
    let bytes: ByteRanges;
    try {
      bytes = await this.#ports.openBytes(this.#settings.file);
    } catch (error) {
      const { code } = error as { code?: unknown };
      throw engineError(
        "model-missing",
        `${this.#settings.file} cannot be opened (${String(code ?? error)})`,
        "correct the path of the model, or let conductor read it",
      );
    }
    try {
      await readGguf(bytes);
    } finally {
      await bytes.close();
    }
  }

  /** The only chunk of an answer. Throws EngineError. */
  async #ask(type: string, payload: Json, timeoutMs: number, signal: AbortSignal): Promise<Json> {
    try {
      for await (const chunk of this.#ports.plugin.request(type, payload, { timeoutMs, signal })) {
        const error = toldIn(chunk);
        if (error) throw error;
        return chunk;
      }
    } catch (error) {
      throw this.#failureOf(error);
    }
    throw engineError(
      "bad-answer",
      `the plugin answered ${type} with nothing`,
      `look at its log: conductor plugins logs ${this.#ports.plugin.name}`,
    );
  }

  #failureOf(error: unknown): unknown {
    if (!(error instanceof PluginFailure)) return error;
    const { kind, message } = error;
    if (kind === "crashed" || kind === "gone") return new EngineError(this.#crash(message, false));
    if (kind === "cancelled") return engineError("aborted", "it was given up", "ask again");
    const code = kind === "timeout" ? "timeout" : "server-error";
    return engineError(
      code,
      quoted(message),
      `look at its log: conductor plugins logs ${this.#ports.plugin.name}`,
    );
  }

  #crash(cause: string, outOfMemory: boolean): EngineFailure {
    const message = `the process of ${this.#settings.file} ended: ${quoted(cause)}`;
    return outOfMemory
      ? engineError("out-of-memory", message, "take a smaller model or context").failure
      : engineError("crashed", message, `look at its log: conductor plugins logs ${this.#ports.plugin.name}`)
          .failure;
  }

  async release(): Promise<ReleaseProof> {
    if (!this.#started) return "holds-nothing";
    this.#started = false;
    const { gone } = await this.#ports.plugin.stop(stopGraceMs);
    if (gone) return "process-gone";
    this.#started = true;
    throw engineError(
      "still-held",
      `some of the processes of ${this.#settings.file} cannot be ended`,
      "they are stuck in the kernel: look at them with ps, state D",
    );
  }

  async *stream(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Piece, void> {
    let ended = false;
    try {
      const chunks = this.#ports.plugin.request("generate", payloadOf(request), {
        timeoutMs: mostSilenceMs,
        signal,
      });
      for await (const chunk of chunks) {
        const error = toldIn(chunk);
        if (error) throw error;
        const piece = pieceOf(chunk);
        ended = piece.kind === "end";
        yield piece;
        if (ended) return;
      }
    } catch (error) {
      throw this.#failureOf(error);
    } finally {
      if (!ended && this.#started) await this.#settle();
    }
  }

  /** Waits until the plugin says that it generates nothing any more. Throws EngineError when it does not. */
  async #settle(): Promise<void> {
    const never = new AbortController().signal;
    try {
      await this.#ask("settle", null, settleMs, never);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      // Where no process is left, nothing generates.
      if (error.failure.code === "crashed") throw error;
      throw engineError(
        "not-acknowledged",
        `the plugin did not confirm that it stopped: ${error.failure.message}`,
        "unload the model if its process keeps a core busy",
      );
    }
  }

  async footprintBytes(): Promise<number | null> {
    return this.#ports.plugin.footprintBytes();
  }

  async health(): Promise<EngineHealth> {
    try {
      await this.#ask("state", null, healthMs, new AbortController().signal);
      return { status: "healthy" };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return { status: "unhealthy", failure: error.failure };
    }
  }
}

function payloadOf(request: GenerateRequest): Json {
  const { input, maxTokens, temperature, topP, stop, seed } = request;
  return {
    ...("prompt" in input
      ? { prompt: input.prompt }
      : { messages: input.messages.map(({ role, content }) => ({ role, content })) }),
    maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(stop === undefined ? {} : { stop: [...stop] }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** `{text}` or `{finishReason, promptTokens, completionTokens}`. */
function pieceOf(chunk: Json): Piece {
  if (isRecord(chunk)) {
    if (typeof chunk.text === "string") return { kind: "text", text: chunk.text };
    const { finishReason, promptTokens, completionTokens } = chunk;
    const usage = { promptTokens: count(promptTokens), completionTokens: count(completionTokens) };
    if (finishReason === "stop" || finishReason === "length") return { kind: "end", finishReason, usage };
    if (finishReason === "aborted") throw engineError("aborted", "it was given up", "ask again");
  }
  throw engineError("bad-answer", "the plugin sent a chunk that is none", "conductor and its plugin differ");
}
