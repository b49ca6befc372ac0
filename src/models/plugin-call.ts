/** The port through which the engine `llama` uses its plugin: an isolated process that can be started, asked and ended. */

import type { Json } from "../sdk/plugin.ts";

/** Why a request to the plugin failed; `crashed`: its process ended meanwhile, `gone`: there is none. */
export type PluginFailureKind = "crashed" | "gone" | "timeout" | "error" | "cancelled";

/** Thrown by the iteration of `PluginCall.request`. */
export class PluginFailure extends Error {
  constructor(
    readonly kind: PluginFailureKind,
    message: string,
  ) {
    super(message);
  }
}

export interface PluginRequestTerms {
  /** Until the answer or its first chunk, and the longest silence between two. */
  timeoutMs: number;
  /** Cancels the request; the plugin is told, and the iteration ends at once by throwing "cancelled". */
  signal: AbortSignal;
}

export interface PluginCall {
  /** What the process is called where plugins are told. */
  readonly name: string;
  /** Starts the process and waits until it takes requests; no other process of it may run. Never rejects. */
  start(): Promise<{ ok: true } | { ok: false; message: string }>;
  /** One request. An answer that is no stream comes as its only chunk. */
  request(type: string, payload: Json, terms: PluginRequestTerms): AsyncIterable<Json>;
  /** Ends the process with all that it started, and proves it. Harmless when none runs. Never rejects. */
  stop(graceMs: number): Promise<{ gone: boolean }>;
  /** Bytes of its whole process tree, measured now; null when none runs or it cannot be told. */
  footprintBytes(): number | null;
  /** Called when the process ended and `stop` had not asked for it, be it shed by others. Returns how to stop that. */
  onExit(listener: (end: { cause: string; outOfMemory: boolean }) => void): () => void;
}
