/** The engine `llama` over a plugin that answers as no plugin of ours would. */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { openBytes } from "../../src/models/gguf-bytes.ts";
import { LlamaDriver } from "../../src/models/llama-driver.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { type PluginCall, PluginFailure, type PluginRequestTerms } from "../../src/models/plugin-call.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { ask, never, taken } from "./engine-contract.ts";
import { makeGguf } from "./make-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "conductor-rogue-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "tiny.gguf");
makeGguf(file, { dim: 64, layers: 1, vocab: 700 });

/** Answers by type; a function may throw, and goes on until its signal aborts where it wants to. */
type Answers = Record<string, (signal: AbortSignal) => Iterable<Json> | AsyncIterable<Json>>;

class RoguePlugin implements PluginCall {
  readonly name = "llama-rogue";
  gone = true;
  startMessage: string | null = null;
  stops = 0;

  constructor(readonly answers: Answers) {}

  async start() {
    return this.startMessage === null
      ? { ok: true as const }
      : { ok: false as const, message: this.startMessage };
  }

  async *request(type: string, _payload: Json, { signal }: PluginRequestTerms): AsyncGenerator<Json> {
    yield* this.answers[type]?.(signal) ?? [{ contextTokens: 64 }];
  }

  async stop() {
    this.stops++;
    return { gone: this.gone };
  }

  footprintBytes() {
    return null;
  }

  onExit() {
    return () => undefined;
  }
}

function engineOver(answers: Answers): { engine: ManagedEngine; plugin: RoguePlugin } {
  const plugin = new RoguePlugin(answers);
  const settings = { file, contextTokens: 64, threads: 1, gpuLayers: 0 };
  return {
    engine: new ManagedEngine(new LlamaDriver(settings, { plugin, openBytes }), new SystemClock()),
    plugin,
  };
}

async function* untilCancelled(signal: AbortSignal): AsyncGenerator<Json> {
  for (;;) {
    if (signal.aborted) throw new PluginFailure("cancelled", "the caller went away");
    yield { text: "x" };
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function fails(kind: "timeout" | "error" | "gone", message: string): () => Iterable<Json> {
  return () => {
    throw new PluginFailure(kind, message);
  };
}

test("one that does not confirm that it stopped: the end says so", async () => {
  const { engine } = engineOver({ generate: untilCancelled, settle: fails("timeout", "no answer in 10 s") });
  await engine.load();
  const abort = new AbortController();
  const parts = engine.generate(ask(), abort.signal);
  const { end } = await taken({
    async *[Symbol.asyncIterator]() {
      for await (const part of parts) {
        abort.abort();
        yield part;
      }
    },
  });
  expect([end.finishReason, end.failure?.code]).toEqual(["aborted", "not-acknowledged"]);
  expect(end.failure?.message).toBe("the plugin did not confirm that it stopped: no answer in 10 s");
});

test("one whose processes do not end is not taken for gone, and can be tried again", async () => {
  const { engine, plugin } = engineOver({});
  await engine.load();
  plugin.gone = false;
  expect(await engine.unload()).toMatchObject({ ok: false, failure: { code: "still-held" } });
  expect(engine.state).toBe("failed");
  // It is not loaded beside what is still there.
  expect(await engine.load()).toMatchObject({ ok: false, failure: { code: "still-held" } });
  plugin.gone = true;
  expect(await engine.unload()).toMatchObject({ ok: true, proof: "process-gone" });
});

test("one that does not start, with what it says", async () => {
  const { engine, plugin } = engineOver({});
  plugin.startMessage = "there is no memory for it";
  expect(await engine.load()).toMatchObject({
    ok: false,
    failure: { code: "refused", message: "the plugin does not start: there is no memory for it" },
  });
  expect(plugin.stops).toBe(1);
});

const chunks: [string, Json[], string][] = [
  ["a chunk that is none", [{ text: "a" }, 5], "bad-answer"],
  ["a reason that is none", [{ text: "a" }, { finishReason: "tired" }], "bad-answer"],
  ["an end without an end", [{ text: "a" }], "broken-stream"],
  [
    "an error that it tells",
    [{ text: "a" }, { error: { code: "out-of-memory", message: "m" } }],
    "out-of-memory",
  ],
  ["an error of its own kind", [{ text: "a" }, { error: { code: "bored", message: "m" } }], "server-error"],
];
test.each(chunks)("%s", async (_, sent, code) => {
  const { engine } = engineOver({ generate: () => sent });
  await engine.load();
  const { text, end } = await taken(engine.generate(ask(), never));
  expect([text, end.finishReason, end.failure?.code as string]).toEqual(["a", "error", code]);
});

test("what fails while it loads is released, by its kind", async () => {
  for (const [kind, code] of [
    ["gone", "crashed"],
    ["error", "server-error"],
    ["timeout", "timeout"],
  ] as const) {
    const { engine, plugin } = engineOver({ load: fails(kind, "why") });
    expect(await engine.load()).toMatchObject({ ok: false, failure: { code } });
    expect(plugin.stops).toBe(1);
  }
});
