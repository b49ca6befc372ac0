/**
 * node-llama-cpp, as far as it is used: https://node-llama-cpp.withcat.ai. It is no part of this program: it is looked for
 * where it was installed, and what is missing is told with the command that installs it.
 */

import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ModelError } from "./model-error.ts";

/** The version that this was tested with. */
export const libraryVersion = "3.22.1";

export interface TokenMeter {
  usedInputTokens: number;
  usedOutputTokens: number;
}

export interface Sequence {
  readonly tokenMeter: { getState(): TokenMeter };
  clearHistory(): Promise<void>;
}

export interface Context {
  readonly contextSize: number;
  getSequence(): Sequence;
}

export interface LoadedWeights {
  readonly trainContextSize: number;
  /** Bytes of the weights. */
  readonly size: number;
  tokenize(text: string): readonly unknown[];
  createContext(options: {
    contextSize: number;
    sequences: 1;
    threads?: number;
    createSignal?: AbortSignal;
  }): Promise<Context>;
}

export interface GenerateOptions {
  maxTokens: number;
  signal: AbortSignal;
  stopOnAbortSignal: true;
  onTextChunk(text: string): void;
  temperature?: number;
  topP?: number;
  seed?: number;
  customStopTriggers?: readonly string[];
}

export type StopReason = "eogToken" | "stopGenerationTrigger" | "customStopTrigger" | "maxTokens" | "abort";

interface Answer {
  metadata: { stopReason: StopReason };
}

export type HistoryItem = { type: "system" | "user"; text: string } | { type: "model"; response: string[] };

export interface Llama {
  loadModel(options: {
    modelPath: string;
    gpuLayers: number | "auto";
    useMmap: boolean;
    loadSignal?: AbortSignal;
  }): Promise<LoadedWeights>;
}

export interface Library {
  getLlama(options: {
    gpu: "auto" | false;
    build: "never";
    skipDownload: true;
    progressLogs: false;
    maxThreads?: number;
    logLevel: "error";
    logger(level: string, message: string): void;
  }): Promise<Llama>;
  LlamaCompletion: new (options: {
    contextSequence: Sequence;
  }) => { generateCompletionWithMeta(prompt: string, options: GenerateOptions): Promise<Answer> };
  LlamaChat: new (options: {
    contextSequence: Sequence;
  }) => { generateResponse(history: HistoryItem[], options: GenerateOptions): Promise<Answer> };
}

/** The package that holds llama.cpp itself, built for this machine. */
function builtPackage(): string | null {
  const systems: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "mac", win32: "win" };
  const system = systems[process.platform];
  const arch = process.arch === "arm" ? "armv7l" : process.arch;
  if (system === undefined) return null;
  return `@node-llama-cpp/${system}-${arch}${system === "mac" && arch === "arm64" ? "-metal" : ""}`;
}

/** One path as a shell takes it. */
const quoted = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;

/**
 * The one command that installs it into `folder`, with llama.cpp for this machine's processor only: with the packages for
 * every graphics card it has some hundred megabytes more. `runtime` is what runs this: bun, or an executable made by it.
 */
export function installCommand(folder: string, runtime: string): string {
  const isBun = /^bunx?(\.exe)?$/.test(basename(runtime));
  const built = builtPackage();
  const packages = ["node-llama-cpp", ...(built === null ? [] : [built])].map(
    (name) => `${name}@${libraryVersion}`,
  );
  const bun = isBun ? "bun" : `BUN_BE_BUN=1 ${quoted(runtime)}`;
  return `${bun} add --cwd ${quoted(folder)} --omit=optional --ignore-scripts ${packages.join(" ")}`;
}

/** Without a package.json of its own an installer would go looking in the folders above. */
function prepare(folder: string): void {
  const file = join(folder, "package.json");
  if (existsSync(folder) && !existsSync(file)) writeFileSync(file, '{ "private": true }\n');
}

/** The library as it is installed in `folder`. Throws ModelError when it is not, or does not load. */
export async function loadLibrary(folder: string): Promise<Library> {
  const command = installCommand(folder, process.execPath);
  let path: string;
  try {
    path = Bun.resolveSync("node-llama-cpp", folder);
  } catch (error) {
    prepare(folder);
    const { code } = error as { code?: unknown };
    throw new ModelError(
      "not-installed",
      `node-llama-cpp is not installed in ${folder} (${String(code ?? error)})`,
      `run: ${command}`,
    );
  }
  try {
    return (await import(path)) as Library;
  } catch (error) {
    throw new ModelError(
      "not-installed",
      `node-llama-cpp does not load: ${String(error)}`,
      `run: ${command}`,
    );
  }
}
