/** What every model engine does, whatever runs behind it: load, generate, tell what it holds, give it back. */

import type { EngineFailure } from "./failure.ts";

export type EngineKind = "openai" | "ollama" | "command" | "llama";

/**
 *   unloaded ──load──▶ loading ──it answers──▶ ready ──unload──▶ unloading ──memory is back──▶ unloaded
 *                        │  ▲                   │ ▲                  │
 *          fails, or is  │  └─────load──────┐   │ └── generate       └──it is not──▶ failed
 *          given up      ▼                  │   │
 *                      failed ◀─────────────┴───┴──it ended by itself
 *                        └──unload──▶ unloading
 *
 * After a load that failed or was given up nothing is held: the engine has released what it began before `load` answers.
 */
export type EngineState = "unloaded" | "loading" | "ready" | "unloading" | "failed";

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What is to be generated; `requestProblem` says what is allowed. */
export interface GenerateRequest {
  /** A conversation, put into the model's own template, or a text to be continued as it is. */
  input: { messages: readonly ChatMessage[] } | { prompt: string };
  /** Most tokens to generate. */
  maxTokens: number;
  /** 0..2; absent: as the engine is set. 0 always takes the likeliest token. */
  temperature?: number;
  /** 0..1 (above 0); absent: as the engine is set. */
  topP?: number;
  /** Ends the answer where one of these would begin; they are not part of it. */
  stop?: readonly string[];
  /** The same seed with the same request gives the same answer, where the engine can. */
  seed?: number;
}

/** Tokens of one generation as the engine counted them; null where it did not tell. */
export interface Usage {
  promptTokens: number | null;
  completionTokens: number | null;
}

/** stop: the model was done, or a stop text came. length: maxTokens. aborted: the caller's signal, or an unload meanwhile. */
export type FinishReason = "stop" | "length" | "aborted" | "error";

/** One step of an answer. The last one, and only that, is an "end". */
export type Part =
  | { kind: "text"; text: string }
  | {
      kind: "end";
      finishReason: FinishReason;
      usage: Usage;
      /** Null for stop and length; for aborted, only when the engine did not confirm or the model was unloaded. */
      failure: EngineFailure | null;
    };

export interface LoadedModel {
  /** Tokens of prompt and answer together; null where the engine does not tell. */
  contextTokens: number | null;
  /** As `footprintBytes` right after loading. */
  footprintBytes: number | null;
  loadMs: number;
}

export type Loaded = ({ ok: true } & LoadedModel) | { ok: false; failure: EngineFailure };

/**
 * How it is known that memory was given back. process-gone: every process of it has ended. server-says-so: the server that
 * goes on running does not list it any more. holds-nothing: nothing of this host's memory was held for it.
 */
export type ReleaseProof = "process-gone" | "server-says-so" | "holds-nothing";

export type Unloaded =
  | { ok: true; proof: ReleaseProof; unloadMs: number }
  | { ok: false; failure: EngineFailure };

export type EngineHealth = { status: "healthy" } | { status: "unhealthy"; failure: EngineFailure };

export interface Engine {
  readonly kind: EngineKind;
  /** The model as the configuration names it: a name at a server, or a file. */
  readonly model: string;
  readonly state: EngineState;
  /** Why the state is failed; null in every other state. */
  readonly failure: EngineFailure | null;
  /** Null until loaded, and where the engine does not tell. */
  readonly contextTokens: number | null;
  /** Generations under way. */
  readonly generating: number;
  /**
   * Loads it; never rejects. Asked again while it loads, both get the same answer (the first caller's signal counts); when it
   * is ready, the answer comes at once. While it unloads, that is waited for. The signal gives up, and nothing stays.
   */
  load(signal?: AbortSignal): Promise<Loaded>;
  /**
   * Ends what is generated, gives the memory back and resolves when that is so; never rejects. A load under way is given up.
   * Harmless when nothing is loaded.
   */
  unload(): Promise<Unloaded>;
  /**
   * Generates; never throws. The engine starts when the first part is taken. Aborting `signal` stops it at the engine, and
   * the end part comes when it has stopped. Whoever leaves the iteration early stops it too.
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<Part>;
  /** Bytes of this host's memory it holds now; null where the engine cannot tell or nothing is loaded. */
  footprintBytes(): Promise<number | null>;
  health(): Promise<EngineHealth>;
  /** Called after every change of state; returns how to stop that. At most `mostListeners`. */
  onChange(listener: (state: EngineState, failure: EngineFailure | null) => void): () => void;
}

/** Listeners of one engine. */
export const mostListeners = 16;
