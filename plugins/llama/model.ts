/** One model in this process: loaded once, one generation at a time. */

import { accessSync, constants } from "node:fs";
import type { Json } from "conductor/plugin";
import type {
  GenerateOptions,
  HistoryItem,
  Library,
  LoadedWeights,
  Sequence,
  StopReason,
} from "./library.ts";
import { ModelError } from "./model-error.ts";
import type { GenerateOrder, LoadOrder } from "./orders.ts";
import { TextFlow } from "./text-flow.ts";

/** Lines of llama.cpp's log that are looked through for a cause. */
const mostLogLines = 40;

/** What llama.cpp said, as a cause; its own error is only that loading failed. */
function causeOf(error: unknown, file: string, log: readonly string[]): ModelError {
  if (error instanceof ModelError) return error;
  const said = log.join("; ");
  const unknown = /unknown model architecture: *'?([^';]+)/.exec(said);
  if (unknown)
    return new ModelError(
      "unsupported",
      `llama.cpp does not know the architecture ${unknown[1]}`,
      "take a model of another architecture, or a newer node-llama-cpp",
    );
  const message = error instanceof Error ? error.message : String(error);
  if (
    /failed to allocate|unable to allocate|out of memory|InsufficientMemory|too large/i.test(
      `${said}; ${message}`,
    )
  )
    return new ModelError("out-of-memory", `${file}: ${message}`, "take a smaller model or context");
  return new ModelError(
    "model-broken",
    `llama.cpp cannot load ${file}: ${said === "" ? message : said.slice(0, 400)}`,
    "download it again, or take another file",
  );
}

/** It has to be read here, by the user that this process runs as. */
function checkFile(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const user = process.getuid?.() ?? "of this process";
    const remedy =
      code === "EACCES"
        ? `let user ${user} read it: chmod a+r, and a+x on the folders above it`
        : "correct the path of the model";
    throw new ModelError("model-missing", `${file} cannot be read (${code})`, remedy);
  }
}

export class Model {
  readonly #library: Library;
  readonly #weights: LoadedWeights;
  readonly #sequence: Sequence;
  readonly contextTokens: number;
  /** Settles when the generation under way has stopped; null: none is. */
  #running: Promise<void> | null = null;

  private constructor(library: Library, weights: LoadedWeights, sequence: Sequence, contextTokens: number) {
    this.#library = library;
    this.#weights = weights;
    this.#sequence = sequence;
    this.contextTokens = contextTokens;
  }

  /** Throws ModelError. What was read of it stays until the process ends. */
  static async load(library: Library, order: LoadOrder, signal: AbortSignal): Promise<Model> {
    const { file, threads, gpuLayers } = order;
    checkFile(file);
    const log: string[] = [];
    try {
      const llama = await library.getLlama({
        gpu: gpuLayers === 0 ? false : "auto",
        // Only what was built already is used: a compiler that starts by itself is no part of loading a model.
        build: "never",
        skipDownload: true,
        progressLogs: false,
        ...(threads === null ? {} : { maxThreads: threads }),
        logLevel: "error",
        logger: (_level, message) => {
          if (log.length < mostLogLines) log.push(message.trim());
        },
      });
      // Mapped weights would count as cache of the file: nobody could tell what the model really needs.
      const weights = await llama.loadModel({
        modelPath: file,
        gpuLayers,
        useMmap: false,
        loadSignal: signal,
      });
      const contextSize = Math.min(order.contextTokens, weights.trainContextSize);
      const context = await weights.createContext({
        contextSize,
        sequences: 1,
        ...(threads === null ? {} : { threads }),
        createSignal: signal,
      });
      return new Model(library, weights, context.getSequence(), context.contextSize);
    } catch (error) {
      throw causeOf(error, file, log);
    }
  }

  get weightsBytes(): number {
    return this.#weights.size;
  }

  /** Resolves when nothing is generated. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Yields `{text}` and at last `{finishReason, promptTokens, completionTokens}`. Throws ModelError. */
  async *generate(order: GenerateOrder, signal: AbortSignal): AsyncGenerator<Json, void> {
    if (this.#running)
      throw new ModelError("overloaded", "one answer is generated already", "ask again when it has ended");
    this.#checkLength(order);
    const stop = new AbortController();
    const flow = new TextFlow();
    const work = this.#work(order, AbortSignal.any([signal, stop.signal]), flow);
    const running = work
      .then(
        () => undefined,
        () => undefined, // Told below, to whoever asked.
      )
      .finally(() => {
        this.#running = null;
      });
    this.#running = running;
    try {
      for await (const text of flow) yield { text };
      yield await work;
    } finally {
      stop.abort();
      await running;
    }
  }

  #checkLength({ input }: GenerateOrder): void {
    const whole = "prompt" in input ? input.prompt : input.messages.map(({ content }) => content).join("\n");
    const tokens = this.#weights.tokenize(whole).length;
    if (tokens < this.contextTokens) return;
    throw new ModelError(
      "bad-request",
      `the prompt has ${tokens} tokens, and the context ${this.contextTokens}`,
      "shorten the prompt, or give the model more context",
    );
  }

  async #work(order: GenerateOrder, signal: AbortSignal, flow: TextFlow): Promise<Json> {
    try {
      // Nothing of the answer before is in this one.
      await this.#sequence.clearHistory();
      const before = this.#sequence.tokenMeter.getState();
      const stopReason = await this.#run(order, signal, flow);
      const after = this.#sequence.tokenMeter.getState();
      return {
        finishReason: finishReasons[stopReason] ?? "stop",
        promptTokens: after.usedInputTokens - before.usedInputTokens,
        completionTokens: after.usedOutputTokens - before.usedOutputTokens,
      };
    } finally {
      flow.end();
    }
  }

  async #run(order: GenerateOrder, signal: AbortSignal, flow: TextFlow): Promise<StopReason> {
    const { input, maxTokens, temperature, topP, seed, stop } = order;
    const options: GenerateOptions = {
      maxTokens,
      signal,
      stopOnAbortSignal: true,
      onTextChunk: (text) => flow.push(text),
      ...(temperature === undefined ? {} : { temperature }),
      ...(topP === undefined ? {} : { topP }),
      ...(seed === undefined ? {} : { seed }),
      ...(stop.length === 0 ? {} : { customStopTriggers: stop }),
    };
    const contextSequence = this.#sequence;
    try {
      if ("prompt" in input) {
        const completion = new this.#library.LlamaCompletion({ contextSequence });
        return (await completion.generateCompletionWithMeta(input.prompt, options)).metadata.stopReason;
      }
      const chat = new this.#library.LlamaChat({ contextSequence });
      return (await chat.generateResponse(historyOf(input.messages), options)).metadata.stopReason;
    } catch (error) {
      // Before the first token there is nothing to stop at, and it throws.
      if (signal.aborted) return "abort";
      throw new ModelError("server-error", `llama.cpp: ${String(error)}`, "load the model again");
    }
  }
}

const finishReasons: Partial<Record<StopReason, string>> = { maxTokens: "length", abort: "aborted" };

/** The conversation as node-llama-cpp has it, with the answer that is to come. */
function historyOf(
  messages: readonly { role: "system" | "user" | "assistant"; content: string }[],
): HistoryItem[] {
  const history: HistoryItem[] = messages.map(({ role, content }) =>
    role === "assistant" ? { type: "model", response: [content] } : { type: role, text: content },
  );
  return [...history, { type: "model", response: [] }];
}
