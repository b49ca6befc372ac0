/**
 * The model engines: what one adds to each token, and what a model costs in memory and time to load and to give back, with
 * real llama.cpp and random weights.
 *
 *   bun test/bench/models.ts [-o json]
 */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SystemClock } from "../../src/clock.ts";
import type { Driver } from "../../src/models/driver.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { openBytes } from "../../src/models/gguf-bytes.ts";
import { modelBytes } from "../../src/models/gguf-footprint.ts";
import { type HttpCall, httpCall } from "../../src/models/http-call.ts";
import { LlamaDriver } from "../../src/models/llama-driver.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { OllamaDriver } from "../../src/models/ollama-driver.ts";
import { OpenaiDriver } from "../../src/models/openai-driver.ts";
import { ask, never, taken } from "../models/engine-contract.ts";
import { type GgufShape, makeGguf } from "../models/make-gguf.ts";
import { nodeLlamaCpp } from "../models/node-llama-cpp.ts";
import { ManagedPluginCall } from "../models/plugin-call.ts";

const clock = new SystemClock();
const tokens = 50_000;
const rounds = 3;

interface Row {
  what: string;
  value: number;
  unit: "µs/token" | "ms" | "MiB";
}
const rows: Row[] = [];

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const encoder = new TextEncoder();
const event = encoder.encode(
  `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"words","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n`,
);
const eventsEnd = encoder.encode(
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
);
const line = encoder.encode(
  `{"model":"words","created_at":"2024-01-01T00:00:00Z","message":{"role":"assistant","content":" word"},"done":false}\n`,
);
const linesEnd = encoder.encode('{"model":"words","done":true,"done_reason":"stop","eval_count":1}\n');

/** A server in this process's memory: what is left is the engine's own work. */
const inMemory =
  (chunk: Uint8Array, end: Uint8Array): HttpCall =>
  async ({ url }) => ({
    status: 200,
    contentType: "text/event-stream",
    retryAfter: null,
    body: (async function* () {
      if (url.endsWith("/models")) yield encoder.encode('{"data":[{"id":"words"}]}');
      else if (url.endsWith("/api/ps")) yield encoder.encode('{"models":[{"name":"words"}]}');
      else if (url.endsWith("/api/show") || url.endsWith("/api/generate")) yield encoder.encode("{}");
      else {
        for (let token = 0; token < tokens; token++) yield chunk;
        yield end;
      }
    })(),
  });

/** The same bytes over loopback, read without an engine: what the network alone costs. */
async function bareRead(url: string): Promise<number> {
  const began = Bun.nanoseconds();
  const { body } = await httpCall({ method: "POST", url, body: {}, signal: never });
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  if (bytes < tokens * event.byteLength) throw new Error(`only ${bytes} bytes came`);
  return (Bun.nanoseconds() - began) / 1_000 / tokens;
}

const openai = (baseUrl: string, call: HttpCall): Driver =>
  new OpenaiDriver(
    { baseUrl, model: "words", keyVariable: null, mostGenerations: 1, maxTokensKey: "max_tokens" },
    { clock, call, environment: {} },
  );

async function perToken(driver: Driver): Promise<number> {
  const engine = new ManagedEngine(driver, clock);
  const loaded = await engine.load();
  if (!loaded.ok) throw new Error(loaded.failure.message);
  const input = { messages: [{ role: "user" as const, content: "hi" }] };
  const began = Bun.nanoseconds();
  let texts = 0;
  for await (const part of engine.generate(ask({ input, maxTokens: tokens }), never))
    if (part.kind === "text") texts++;
  if (texts !== tokens) throw new Error(`only ${texts} tokens came`);
  return (Bun.nanoseconds() - began) / 1_000 / tokens;
}

async function repeated(what: string, run: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await run());
  rows.push({ what, value: median(times), unit: "µs/token" });
}

await repeated("openai, in memory, a chunk for each token", () =>
  perToken(openai("http://memory/v1", inMemory(event, eventsEnd))),
);
await repeated("ollama, in memory, a chunk for each token", () =>
  perToken(
    new OllamaDriver(
      { baseUrl: "http://memory", model: "words", contextTokens: null, keepAlive: -1, mostGenerations: 1 },
      { clock, call: inMemory(line, linesEnd), environment: {} },
    ),
  ),
);
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch: (request) => {
    if (request.url.endsWith("/models")) return Response.json({ data: [{ id: "words" }] });
    const whole = Buffer.concat([...Array<Uint8Array>(tokens).fill(event), eventsEnd]);
    return new Response(whole, { headers: { "content-type": "text/event-stream" } });
  },
});
await repeated("the same bytes over loopback, only read", () => bareRead(`${server.url}v1/chat/completions`));
await repeated("openai over loopback, as fast as it comes", () =>
  perToken(openai(`${server.url}v1`, httpCall)),
);
await server.stop(true);

const shapes: [string, GgufShape][] = [
  ["1 MB", { dim: 64, layers: 2, vocab: 1_024 }],
  ["300 MB", { dim: 1_024, layers: 4, vocab: 4_096, contextTokens: 2_048 }],
];

async function modelRows(name: string, shape: GgufShape, library: string, folder: string): Promise<void> {
  const file = join(folder, "model.gguf");
  makeGguf(file, shape);
  const bytes = await openBytes(file);
  const header = await readGguf(bytes);
  await bytes.close();
  const contextTokens = shape.contextTokens ?? 512;
  const plugin = await ManagedPluginCall.open(join(folder, "state"), library);
  const settings = { file, contextTokens, threads: 2, gpuLayers: 0 };
  const engine = new ManagedEngine(new LlamaDriver(settings, { plugin, openBytes }), clock);
  const [loads, unloads, held, used]: number[][] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    const loaded = await engine.load();
    if (!loaded.ok) throw new Error(loaded.failure.message);
    loads?.push(loaded.loadMs);
    held?.push((loaded.footprintBytes ?? Number.NaN) / 2 ** 20);
    await taken(engine.generate(ask({ maxTokens: 32 }), never));
    used?.push(((await engine.footprintBytes()) ?? Number.NaN) / 2 ** 20);
    const unloaded = await engine.unload();
    if (!unloaded.ok) throw new Error(unloaded.failure.message);
    unloads?.push(unloaded.unloadMs);
  }
  await plugin.end();
  rmSync(file);
  rows.push(
    { what: `llama, ${name}: load`, value: median(loads ?? []), unit: "ms" },
    { what: `llama, ${name}: unload`, value: median(unloads ?? []), unit: "ms" },
    {
      what: `llama, ${name}: weights and cache by its header`,
      value: (modelBytes(header, contextTokens) ?? Number.NaN) / 2 ** 20,
      unit: "MiB",
    },
    { what: `llama, ${name}: held after loading`, value: median(held ?? []), unit: "MiB" },
    { what: `llama, ${name}: held after 32 tokens`, value: median(used ?? []), unit: "MiB" },
  );
}

const library = nodeLlamaCpp();
if ("reason" in library) console.error(`llama is left out: ${library.reason}`);
else {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-bench-models-")));
  chmodSync(folder, 0o755);
  try {
    for (const [name, shape] of shapes) await modelRows(name, shape, library.folder, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { output: { type: "string", short: "o", default: "text" } } });
if (values.output === "json") console.log(JSON.stringify(rows));
else
  for (const { what, value, unit } of rows)
    console.log(`${what.padEnd(50)} ${value.toFixed(value < 100 ? 2 : 0).padStart(8)} ${unit}`);
