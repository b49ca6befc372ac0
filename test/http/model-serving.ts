/**
 * A ladder of two models behind real HTTP: a real manager, real engines of the kind openai, each on a model server of its own.
 * What they take is counted as declared; time stands still but for `clock.advance`.
 */

import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { MemoryConversations } from "../../src/models/conversation-store.ts";
import { httpCall } from "../../src/models/http-call.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { ModelManager } from "../../src/models/manager.ts";
import type { ModelAnswered, ModelChanged, ModelTier } from "../../src/models/manager-ports.ts";
import { OpenaiDriver } from "../../src/models/openai-driver.ts";
import type { MemoryUser } from "../../src/models/suggestions.ts";
import { ModelServer } from "../models/model-server.ts";
import { type Served, served, startMs } from "./served.ts";

export const MiB = 2 ** 20;
const sizesMiB = { large: 400, small: 100 };
type Name = keyof typeof sizesMiB;

export class ModelServingHost {
  readonly clock = new VirtualClock(startMs);
  readonly servers: Readonly<Record<Name, ModelServer>> = {
    large: new ModelServer(),
    small: new ModelServer(),
  };
  readonly changes: ModelChanged[] = [];
  readonly answered: ModelAnswered[] = [];
  readonly conversations = new MemoryConversations();
  readonly manager: ModelManager;
  othersMiB = 0;
  #http: Served | null = null;

  constructor(contextTokens: Readonly<Record<Name, number>> = { large: 4_096, small: 2_048 }) {
    const tiers = (["large", "small"] as const).map(
      (name, index): ModelTier => ({
        name,
        quality: 100 - 50 * index,
        contextTokens: contextTokens[name],
        mostParallel: 2,
        bytes: { declared: sizesMiB[name] * MiB, weights: null, kvPerToken: null },
        stepDownRatio: null,
        slowestTokensPerSecond: null,
      }),
    );
    this.manager = new ModelManager(tiers, {
      clock: this.clock,
      log: silentLog,
      makeEngine: ({ name }) =>
        new ManagedEngine(
          new OpenaiDriver(
            {
              baseUrl: `${this.servers[name as Name].url}/v1`,
              model: "words",
              keyVariable: null,
              mostGenerations: 4,
              maxTokensKey: "max_tokens",
            },
            { clock: this.clock, call: httpCall, environment: {} },
          ),
          this.clock,
        ),
      memory: () => ({
        memory: { usedBytes: this.usedMiB * MiB, budgetBytes: 1_000 * MiB, reservedBytes: 0 },
        forecast: null,
      }),
      reserve: () => () => undefined,
      changed: (event) => this.changes.push(event),
      answered: (answer) => this.answered.push(answer),
      decided: () => undefined,
    });
  }

  get usedMiB(): number {
    return this.manager
      .facts()
      .filter(({ state }) => state === "ready")
      .reduce((sum, { name }) => sum + sizesMiB[name as Name], this.othersMiB);
  }

  /** Programs beside the plugins, the largest first. */
  processes: MemoryUser[] = [];

  get http(): Served {
    if (!this.#http) throw new Error("open it first");
    return this.#http;
  }

  get ready(): string {
    const ready = this.manager.facts().filter(({ state }) => state === "ready");
    return ready.map(({ name }) => name).join(" ");
  }

  /** Serves; nothing is loaded yet. */
  async open(config: Record<string, unknown> = {}): Promise<void> {
    const { manager, conversations } = this;
    const models = { manager, conversations, otherProcesses: () => this.processes };
    this.#http = await served({ config, over: { clock: this.clock, models } });
  }

  /** Reads memory once a second for so long; each change that it begins has ended before the next. */
  async run(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.manager.evaluate();
      await this.manager.settled();
      await this.clock.advance(1_000);
    }
  }

  async end(): Promise<void> {
    await this.#http?.end();
    await this.manager.close();
    await Promise.all(Object.values(this.servers).map((server) => server.stop()));
  }
}

/** Waits for what another process or connection brings about; fails after some 10 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 2_000; turn++) {
    if (holds()) return;
    await Bun.sleep(5);
  }
  throw new Error(`never: ${what}`);
}

const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
export const spoken = (content: string) =>
  event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

/** The answer of a server that ends there, whatever it has said. */
export const saying = (...texts: string[]): Response =>
  new Response(texts.join(""), { headers: { "content-type": "text/event-stream" } });
