/**
 * llama: one GGUF model by llama.cpp, for conductor's own use. Requests by type:
 *
 *   load      { file, contextTokens, threads?, gpuLayers? } -> { contextTokens, weightsBytes }
 *   generate  { messages: [{ role, content }] or prompt, maxTokens, temperature?, topP?, seed?, stop? }
 *             -> in chunks: { text } …, { finishReason: stop | length | aborted, promptTokens, completionTokens }
 *   settle    -> { generating: false }, as soon as nothing is generated
 *   state     -> { loaded, contextTokens }
 *
 * One model for the life of the process: its end is what gives the memory back. A mistake of whoever asks, and what they can
 * do something about, is an answer { error: { code, message, remedy } }: throwing would count against the plugin.
 */

import {
  definePlugin,
  type Json,
  type PluginAnswer,
  type PluginDefinition,
  type PluginRequest,
  type RequestContext,
} from "conductor/plugin";
import { loadLibrary } from "./library.ts";
import { Model } from "./model.ts";
import { ModelError } from "./model-error.ts";
import { generateOrder, loadOrder } from "./orders.ts";

class LlamaPlugin {
  #folder: string | null = null;
  #model: Model | null = null;
  #loading = false;

  /** Throws for a setting that is wrong. */
  start(config: Record<string, Json>, name: string, dataFolder: string | null): void {
    const { folder = dataFolder, ...unknown } = config;
    const [key] = Object.keys(unknown);
    if (key !== undefined)
      throw new Error(`plugins.config.${name}.${key}: expected no such key; known is folder`);
    if (folder !== null && (typeof folder !== "string" || !folder.startsWith("/")))
      throw new Error(
        `plugins.config.${name}.folder: ${JSON.stringify(folder)}: expected the absolute path of the folder where node-llama-cpp is installed`,
      );
    this.#folder = folder;
    // node-llama-cpp tries llama.cpp out in a process of its own, by running this executable as Bun.
    process.env.BUN_BE_BUN = "1";
  }

  async load(payload: Json, signal: AbortSignal): Promise<Json> {
    if (this.#model !== null || this.#loading)
      throw new ModelError("overloaded", "this process has its model already", "end it and start another");
    const order = loadOrder(payload);
    if (this.#folder === null)
      throw new ModelError(
        "not-installed",
        "the plugin has no data folder to look for node-llama-cpp in",
        "set plugins.config.llama.folder to the folder where node-llama-cpp is installed",
      );
    this.#loading = true;
    try {
      this.#model = await Model.load(await loadLibrary(this.#folder), order, signal);
    } finally {
      this.#loading = false;
    }
    const { contextTokens, weightsBytes } = this.#model;
    return { contextTokens, weightsBytes };
  }

  async *generate(payload: Json, signal: AbortSignal): AsyncGenerator<Json, void> {
    try {
      const order = generateOrder(payload);
      if (this.#model === null) throw new ModelError("not-loaded", "no model is loaded", "load one first");
      yield* this.#model.generate(order, signal);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      yield error.answer;
    }
  }

  async settle(): Promise<Json> {
    await this.#model?.settled();
    return { generating: false };
  }

  get state(): Json {
    return { loaded: this.#model !== null, contextTokens: this.#model?.contextTokens ?? null };
  }
}

function answer(
  llama: LlamaPlugin,
  request: PluginRequest,
  { signal }: RequestContext,
): PluginAnswer | Promise<PluginAnswer> {
  switch (request.type) {
    case "load":
      return llama.load(request.payload, signal);
    case "generate":
      return llama.generate(request.payload, signal);
    case "settle":
      return llama.settle();
    case "state":
      return llama.state;
    default:
      throw new ModelError(
        "bad-request",
        `type ${JSON.stringify(request.type.slice(0, 40))}: expected load, generate, settle or state`,
        "ask conductor's models instead of this plugin",
      );
  }
}

/** A fresh instance; the default export is the one that the conductor runs. */
export function createLlama(): PluginDefinition {
  const llama = new LlamaPlugin();
  return {
    initialize: (config, context) => llama.start(config, context.name, context.dataFolder),
    handleRequest: async (request, context) => {
      try {
        return await answer(llama, request, context);
      } catch (error) {
        if (error instanceof ModelError) return error.answer;
        throw error;
      }
    },
  };
}

export default definePlugin(createLlama());
