/** The compiled conductor in a memory cgroup of its own, with two models of real llama.cpp and a plugin that takes memory. */

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GgufShape, makeGguf } from "../models/make-gguf.ts";
import { MemoryCgroup } from "./memory-cgroup.ts";
import type { DecisionView } from "./pressed-conductor.ts";
import { RunningConductor, root, until } from "./running-conductor.ts";

export const MiB = 2 ** 20;
export const budgetBytes = 800 * MiB;

const shapes: Record<string, GgufShape> = {
  large: { dim: 640, layers: 10, vocab: 4_096, contextTokens: 1_024 },
  small: { dim: 64, layers: 2, vocab: 1_024, contextTokens: 1_024 },
};

export interface ModelHolding {
  name: string;
  state: string;
  footprintBytes: number | null;
  unusableBecause: string | null;
}

export interface ScalingView {
  measured: { usedBytes: number } | null;
  models: ModelHolding[];
}

const holding = `name: holding
version: 1.0.0
runtime: exec
protocol: jsonrpc
command: ["python3", ${JSON.stringify(join(root, "test/fixtures/holding.py"))}]
start: eager
limits: { requestTimeout: 30s }
health: { kind: none }
`;

/** A text of two lines. */
const last = `name: last
version: 1.0.0
runtime: exec
protocol: none
command: ["sleep", "infinity"]
start: eager
health: { kind: none }
`;

export interface Message {
  role: "user" | "assistant";
  content: string;
}

interface Answer {
  text: string;
  finishReason: string | null;
  note: string | null;
}

interface Chat {
  model: string | null;
  /** The first text has come. */
  begun: Promise<void>;
  whole: Promise<Answer>;
}

interface Chunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
  conductor?: { note: string | null };
}

async function whole(body: ReadableStream<Uint8Array<ArrayBuffer>>, begun: () => void): Promise<Answer> {
  const answer: Answer = { text: "", finishReason: null, note: null };
  let rest = "";
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices = [], conductor } = JSON.parse(line.slice("data: ".length)) as Partial<Chunk>;
      answer.text += choices[0]?.delta.content ?? "";
      if (answer.text !== "") begun();
      answer.finishReason = choices[0]?.finish_reason ?? answer.finishReason;
      answer.note = conductor?.note ?? answer.note;
    }
  }
  return answer;
}

export class ModelledConductor {
  private constructor(
    readonly conductor: RunningConductor,
    readonly cgroup: MemoryCgroup,
    private readonly models: string,
  ) {}

  /** Ready; nothing is said of the models yet. The hard limit lies a tenth over the budget. */
  static async start(name: string, library: string, more = ""): Promise<ModelledConductor> {
    const models = mkdtempSync(join(tmpdir(), "conductor-models-"));
    chmodSync(models, 0o755);
    for (const [each, shape] of Object.entries(shapes)) makeGguf(join(models, `${each}.gguf`), shape);
    const cgroup = new MemoryCgroup(`conductor-${name}`, Math.round(1.1 * budgetBytes));
    const tier = (each: string) =>
      `  - { name: ${each}, engine: llama, model: ${join(models, `${each}.gguf`)}, context: 1024, threads: 1, gpuLayers: 0 }`;
    try {
      const conductor = await RunningConductor.start({
        config: [
          `budget: { memory: ${budgetBytes / MiB}MiB }`,
          "monitor: { interval: 1s }",
          "forecast: { horizon: 1s }",
          `plugins: { bundled: false, grace: 1s, config: { llama: { folder: ${library} } } }`,
          // What other work on the machine stalls is not of the test.
          "scaler: { order: [holding, last], triggers: { stall: 100%, spike: false, timeOfDay: false } }",
          "ladder: { settle: 1s, justLoaded: 1s, calm: 4s, service: 2s, finish: 60s, putOff: { initial: 1s, max: 2s } }",
          "models:",
          ...Object.keys(shapes).map(tier),
          more,
        ].join("\n"),
        files: { "plugins/holding/plugin.yaml": holding, "plugins/last/plugin.yaml": last },
        wrap: (command) => cgroup.wrap(command),
      });
      return new ModelledConductor(conductor, cgroup, models);
    } catch (error) {
      await cgroup.remove();
      rmSync(models, { recursive: true, force: true });
      throw error;
    }
  }

  status(): Promise<ScalingView> {
    return this.conductor.get<ScalingView>("/api/v1/scaling/status");
  }

  async model(name: string): Promise<ModelHolding> {
    const found = (await this.status()).models.find((each) => each.name === name);
    if (!found) throw new Error(`no model ${name}`);
    return found;
  }

  /** Waits until `name` alone is loaded. */
  async alone(name: string, timeoutMs = 60_000): Promise<void> {
    await until(`${name} alone is loaded`, timeoutMs, async () => {
      const { models } = await this.status();
      if (models.every((each) => each.state === (each.name === name ? "ready" : "unloaded"))) return true;
      throw new Error(JSON.stringify(models));
    });
  }

  /** Has the plugin hold so much that `ratio` of the budget is used. */
  async press(ratio: number): Promise<void> {
    const usedBytes = (await this.status()).measured?.usedBytes ?? 0;
    await this.hold(Math.max(0, Math.round((ratio * budgetBytes - usedBytes) / MiB)));
  }

  async hold(mib: number): Promise<void> {
    const { status, body } = await this.conductor.request("holding", { mib }, "hold");
    if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`);
  }

  /** Asks, and yields what is streamed as it comes: texts, and at last why it ended. */
  async chat(messages: readonly Message[], maxTokens: number): Promise<Chat> {
    const body = { model: "auto", stream: true, max_tokens: maxTokens, messages };
    const response = await this.conductor.post("/v1/chat/completions", body);
    if (response.status !== 200 || !response.body)
      throw new Error(`${response.status}: ${await response.text()}`);
    const chat = { model: response.headers.get("X-Conductor-Model"), begun: Promise.withResolvers<void>() };
    return { model: chat.model, begun: chat.begun.promise, whole: whole(response.body, chat.begun.resolve) };
  }

  /** The oldest first. */
  async decisions(): Promise<(DecisionView & { policy: string })[]> {
    const path = "/api/v1/scaling/decisions?limit=500";
    const page = await this.conductor.get<{ decisions: (DecisionView & { policy: string })[] }>(path);
    return page.decisions.toReversed();
  }

  /** Models that answered one after the other, as announced: "null>large". */
  changes(): string[] {
    return this.conductor.logged("model.changed").map(({ from, to }) => `${from}>${to}`);
  }

  /** Fails when anything of it is left. */
  async end(): Promise<void> {
    await this.conductor.terminate();
    this.conductor.remove();
    rmSync(this.models, { recursive: true, force: true });
    await this.cgroup.remove();
  }
}
