/** The ladder with real llama.cpp: two models of random weights, each in a process of its own, in measured memory. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { models } from "../../src/config/models-schema.ts";
import { silentLog } from "../../src/log.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { openBytes } from "../../src/models/gguf-bytes.ts";
import { ladderPolicy } from "../../src/models/ladder-facts.ts";
import { LlamaDriver } from "../../src/models/llama-driver.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { ModelManager } from "../../src/models/manager.ts";
import type { ModelChanged, ModelPart } from "../../src/models/manager-ports.ts";
import { modelTier } from "../../src/models/model-tiers.ts";
import { eventually } from "../plugins/harness.ts";
import { ask, never } from "./engine-contract.ts";
import { type GgufShape, makeGguf } from "./make-gguf.ts";
import { nodeLlamaCpp } from "./node-llama-cpp.ts";
import { ManagedPluginCall } from "./plugin-call.ts";

setDefaultTimeout(120_000);
const library = nodeLlamaCpp();
if ("reason" in library) console.error(`llama: real models are skipped: ${library.reason}`);
const installed = "folder" in library ? library.folder : "";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;
const shapes: Record<string, GgufShape> = {
  big: { dim: 512, layers: 8, vocab: 4_096 },
  small: { dim: 64, layers: 2, vocab: 1_024 },
};
const folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-ladder-")));
const plugins = new Map<string, ManagedPluginCall>();

beforeAll(async () => {
  chmodSync(folder, 0o755);
  if (installed === "") return;
  for (const [name, shape] of Object.entries(shapes)) {
    makeGguf(join(folder, `${name}.gguf`), shape);
    plugins.set(name, await ManagedPluginCall.open(join(folder, `state-${name}`), installed));
  }
});
afterAll(async () => {
  for (const plugin of plugins.values()) await plugin.end();
  rmSync(folder, { recursive: true, force: true });
});

const settings = models.parse(
  Object.keys(shapes).map((name) => ({
    name,
    engine: "llama",
    model: join(folder, `${name}.gguf`),
    context: 512,
  })),
);

async function tierOf(each: (typeof settings)[number]) {
  const ranges = await openBytes(each.model ?? "");
  try {
    return modelTier(each, await readGguf(ranges));
  } finally {
    await ranges.close();
  }
}

const pluginOf = (name: string): ManagedPluginCall => {
  const plugin = plugins.get(name);
  if (!plugin) throw new Error(`no plugin for ${name}`);
  return plugin;
};
const pids = (name: string) => pluginOf(name).pids().length;

describe.skipIf(installed === "")("on real llama.cpp", () => {
  test("steps down when others need memory, survives a kill, and steps up after calm", async () => {
    const clock = new SystemClock();
    const events: ModelChanged[] = [];
    let othersBytes = 100 * MiB;
    let reservedBytes = 0;
    const held = () => manager.facts().reduce((sum, { heldBytes }) => sum + (heldBytes ?? 0), 0);
    const manager: ModelManager = new ModelManager(
      await Promise.all(settings.map(tierOf)),
      {
        clock,
        log: silentLog,
        makeEngine: ({ name }, contextTokens) =>
          new ManagedEngine(
            new LlamaDriver(
              { file: join(folder, `${name}.gguf`), contextTokens, threads: 1, gpuLayers: 0 },
              { plugin: pluginOf(name), openBytes },
            ),
            clock,
          ),
        memory: () => ({
          memory: { usedBytes: othersBytes + held(), budgetBytes, reservedBytes },
          forecast: null,
        }),
        reserve: (_model, bytes) => {
          reservedBytes += bytes;
          return () => {
            reservedBytes -= bytes;
          };
        },
        changed: (event) => events.push(event),
        decided: () => undefined,
      },
      {
        policy: { ...ladderPolicy, settleMs: 0, justLoadedMs: 0, calmMs: 100, serviceMs: 0 },
        putOffs: { initialMs: 1, mostMs: 1, relapseMs: 1 },
      },
    );
    const answers = async (): Promise<ModelPart[]> => {
      const parts: ModelPart[] = [];
      for await (const part of manager.generate(ask(), never)) parts.push(part);
      await manager.settled();
      return parts;
    };
    try {
      expect(manager.evaluate()).toMatchObject({ action: "load", model: "big" });
      await manager.settled();
      expect((await answers())[0]).toEqual({ kind: "model", model: "big", insteadOf: null });
      const [peak] = manager.peaks("big");
      expect(peak?.bytes).toBeGreaterThan(50 * MiB);
      expect([pids("big") > 0, pids("small")]).toEqual([true, 0]);

      // The big one holds some 240 MiB; the small one needs what its file tells and 128 MiB.
      othersBytes = 640 * MiB;
      expect(manager.evaluate()).toMatchObject({ rule: "threshold", action: "switch", model: "small" });
      await manager.settled();
      expect([pids("big"), pids("small") > 0]).toEqual([0, true]);
      expect((await answers())[0]).toEqual({ kind: "model", model: "small", insteadOf: null });

      for (const pid of pluginOf("small").pids()) process.kill(pid, "SIGKILL");
      await eventually(() => manager.facts()[1]?.state === "failed", 20_000);
      await eventually(() => {
        manager.evaluate();
        return manager.facts()[1]?.state === "ready";
      }, 60_000);
      expect((await answers()).at(-1)).toMatchObject({ kind: "end", finishReason: "length", model: "small" });

      othersBytes = 100 * MiB;
      await eventually(() => {
        manager.evaluate();
        return manager.facts()[0]?.state === "ready" && manager.facts()[1]?.state === "unloaded";
      }, 60_000);
      await manager.settled();
      expect(events.map(({ from, to }) => `${from}>${to}`)).toEqual([
        "null>big",
        "big>small",
        "small>null",
        "null>small",
        "small>big",
      ]);
    } finally {
      await manager.close();
    }
    expect([pids("big"), pids("small"), held(), reservedBytes]).toEqual([0, 0, 0, 0]);
  });
});
