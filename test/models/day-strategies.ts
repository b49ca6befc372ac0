/** Who holds models in memory through a day: the manager, and what is usual without one. */

import { silentLog } from "../../src/log.ts";
import type { ManagedEngine } from "../../src/models/managed-engine.ts";
import { ModelManager } from "../../src/models/manager.ts";
import type { ModelPart } from "../../src/models/manager-ports.ts";
import {
  type Answered,
  budgetBytes,
  type DayHost,
  question,
  type Rung,
  rungs,
  type Strategy,
} from "./day-host.ts";

const never = new AbortController().signal;

const rungOf = (name: string): Rung => {
  const rung = rungs.find((each) => each.name === name);
  if (!rung) throw new Error(`no rung ${name}`);
  return rung;
};

/** Ours, evaluated each second; no forecast. */
export function ladder(host: DayHost): Strategy {
  const tiers = rungs.map(({ name, quality, script }) => ({
    name,
    quality,
    contextTokens: 4_096,
    mostParallel: 4,
    bytes: { declared: script.bytes, weights: null, kvPerToken: null },
    stepDownRatio: null,
    slowestTokensPerSecond: null,
  }));
  const manager = new ModelManager(tiers, {
    clock: host.clock,
    log: silentLog,
    makeEngine: ({ name }) => host.engine(rungOf(name)),
    memory: () => ({
      memory: { usedBytes: host.usedBytes, budgetBytes, reservedBytes: host.reservedBytes },
      forecast: null,
    }),
    reserve: (_model, bytes) => {
      host.reservedBytes += bytes;
      return () => {
        host.reservedBytes -= bytes;
      };
    },
    changed: () => undefined,
    decided: () => undefined,
  });
  return {
    name: "ladder",
    tick: () => void manager.evaluate(),
    ask: async () => {
      let last: ModelPart | null = null;
      for await (const part of manager.generate(question, never)) last = part;
      if (last?.kind !== "end") throw new Error("an answer without an end");
      const { finishReason, note, refusal, model } = last;
      if (refusal) return { outcome: "refused", model };
      if (note !== null) return { outcome: "cut", model };
      return { outcome: finishReason === "stop" ? "whole" : "failed", model };
    },
    close: () => manager.close(),
  };
}

const freeFor = (host: DayHost, rung: Rung): boolean => rung.script.bytes <= budgetBytes - host.usedBytes;

/** Asks a loaded engine; one that has to be loaded first is waited for. */
async function askEngine(engine: ManagedEngine): Promise<Answered> {
  const { model } = engine;
  const loaded = await engine.load();
  if (!loaded.ok) return { outcome: "failed", model };
  for await (const part of engine.generate(question, never))
    if (part.kind === "end") {
      if (part.failure?.code === "overloaded") return { outcome: "refused", model };
      return { outcome: part.finishReason === "stop" ? "whole" : "failed", model };
    }
  throw new Error("an answer without an end");
}

/** One model, always: loaded when first asked and kept; refused when it does not fit what is free. */
export const loadOrFail =
  (name: string) =>
  (host: DayHost): Strategy => {
    const rung = rungOf(name);
    const engine = host.engine(rung);
    return {
      name: `load or fail, ${name}`,
      tick: () => undefined,
      ask: async () =>
        engine.state === "ready" || engine.state === "loading" || freeFor(host, rung)
          ? askEngine(engine)
          : { outcome: "refused", model: null },
      close: async () => void (await engine.unload()),
    };
  };

/** Until an idle model is unloaded: the keep_alive of ollama. */
const keepMs = 300_000;

/**
 * The best that fits what is free, loaded when asked for; idle models make room, the longest unused first, and go after 5
 * minutes by themselves.
 */
export function leastRecentlyUsed(host: DayHost): Strategy {
  const held = rungs.map((rung) => ({ rung, engine: host.engine(rung), usedMs: 0 }));
  const idle = () =>
    held
      .filter(({ engine }) => engine.state === "ready" && engine.generating === 0)
      .sort((one, other) => one.usedMs - other.usedMs);
  const ask = async (): Promise<Answered> => {
    for (const each of held) {
      const here = each.engine.state === "ready" || each.engine.state === "loading";
      const others = idle().filter((other) => other !== each);
      const room =
        budgetBytes - host.usedBytes + others.reduce((sum, { rung }) => sum + rung.script.bytes, 0);
      if (!here && each.rung.script.bytes > room) continue;
      for (const other of others) {
        if (here || freeFor(host, each.rung)) break;
        await other.engine.unload();
      }
      each.usedMs = host.clock.monotonicMs();
      const answered = await askEngine(each.engine);
      each.usedMs = host.clock.monotonicMs();
      return answered;
    }
    return { outcome: "refused", model: null };
  };
  return {
    name: "LRU",
    tick: () => {
      for (const { engine, usedMs } of idle())
        if (host.clock.monotonicMs() - usedMs >= keepMs) void engine.unload();
    },
    ask,
    close: async () => {
      for (const { engine } of held) await engine.unload();
    },
  };
}
