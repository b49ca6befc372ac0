/** A host of 1,000 MiB with a model manager on a virtual clock: real engines over scripted drivers, memory as they hold it. */

import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import type { GenerateRequest } from "../../src/models/engine.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { ModelManager } from "../../src/models/manager.ts";
import type {
  MemoryReading,
  ModelChanged,
  ModelPart,
  ModelTier,
  StandingOrder,
} from "../../src/models/manager-ports.ts";
import { type Script, ScriptedDriver, script } from "./scripted-driver.ts";

export const MiB = 2 ** 20;
const sizes = { large: 400, medium: 200, small: 100 };
export type RungName = keyof typeof sizes;

export const request = (more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  input: { prompt: "hello" },
  maxTokens: 100,
  ...more,
});

export class LadderHost {
  readonly clock = new VirtualClock();
  readonly scripts: Record<RungName, Script>;
  readonly drivers = new Map<string, ScriptedDriver>();
  readonly events: ModelChanged[] = [];
  readonly manager: ModelManager;
  othersBytes = 0;
  reservedBytes = 0;
  forecast: MemoryReading["forecast"] = null;
  /** Engines that load or unload, and the most that ever did so at the same time. */
  readonly #changing = new Set<ManagedEngine>();
  mostChanging = 0;
  verdicts: string[] = [];

  /** In force, as told last. */
  orders: ReadonlyMap<string, StandingOrder> = new Map();

  constructor(scripts: Partial<Record<RungName, Partial<Script>>> = {}, tier: Partial<ModelTier> = {}) {
    const of = (name: RungName) => script({ bytes: sizes[name] * MiB, ...scripts[name] });
    this.scripts = { large: of("large"), medium: of("medium"), small: of("small") };
    const tiers = (["large", "medium", "small"] as const).map(
      (name): ModelTier => ({
        name,
        quality: sizes[name] / 4,
        contextTokens: 4_096,
        mostParallel: 2,
        bytes: { declared: sizes[name] * MiB, weights: null, kvPerToken: null },
        stepDownRatio: null,
        slowestTokensPerSecond: null,
        ...tier,
      }),
    );
    this.manager = new ModelManager(tiers, {
      clock: this.clock,
      log: silentLog,
      makeEngine: ({ name, bytes, contextTokens: whole }, contextTokens) => {
        const script = this.scripts[name as RungName];
        // Less by the cache that is not asked for.
        const heldBytes = script.bytes - (bytes.kvPerToken ?? 0) * (whole - contextTokens);
        const driver = new ScriptedDriver(name, contextTokens, script, this.clock, heldBytes);
        this.drivers.set(name, driver);
        const engine = new ManagedEngine(driver, this.clock);
        engine.onChange((state) => {
          if (state === "loading" || state === "unloading") this.#changing.add(engine);
          else this.#changing.delete(engine);
          this.mostChanging = Math.max(this.mostChanging, this.#changing.size);
        });
        return engine;
      },
      memory: () => ({
        memory: { usedBytes: this.usedBytes, budgetBytes: 1_000 * MiB, reservedBytes: this.reservedBytes },
        forecast: this.forecast,
      }),
      reserve: (_model, bytes) => {
        this.reservedBytes += bytes;
        return () => {
          this.reservedBytes -= bytes;
        };
      },
      changed: (event) => this.events.push(event),
      ordered: (orders) => {
        this.orders = orders;
      },
      decided: (_situation, { rule, action, model }) => {
        if (action !== "hold" || rule === "finish") this.verdicts.push(`${rule} ${action} ${model}`);
      },
    });
  }

  get usedBytes(): number {
    return [...this.drivers.values()].reduce((sum, { heldBytes }) => sum + heldBytes, this.othersBytes);
  }

  /** Names of what is ready, the best first. */
  get ready(): string {
    return this.manager
      .facts()
      .filter(({ state }) => state === "ready")
      .map(({ name }) => name)
      .join(" ");
  }

  /** Reads memory each second for so long. */
  async run(ms: number): Promise<void> {
    for (let second = 0; second < ms; second += 1_000) {
      this.manager.evaluate();
      await this.clock.advance(1_000);
    }
  }

  /** Asks, and takes all parts as they come; `parts` grows. */
  ask(
    more: Partial<GenerateRequest> = {},
    model: string | null = null,
    signal = new AbortController().signal,
  ) {
    const parts: ModelPart[] = [];
    const done = (async () => {
      for await (const part of this.manager.generate(request(more), signal, model)) parts.push(part);
    })();
    return { parts, done };
  }
}

export const textOf = (parts: readonly ModelPart[]): string =>
  parts.map((part) => (part.kind === "text" ? part.text : "")).join("");

export const endOf = (parts: readonly ModelPart[]): Extract<ModelPart, { kind: "end" }> => {
  const last = parts.at(-1);
  if (last?.kind !== "end") throw new Error("an answer without an end");
  return last;
};
