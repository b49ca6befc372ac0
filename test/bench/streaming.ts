/**
 * Answers in chunks beside plain answers, from a plugin in a host: the time to the first chunk, chunks a second, by
 * dispatch and over HTTP.
 *
 *   bun test/bench/streaming.ts [-o json]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { PluginManager } from "../../src/plugins/manager.ts";
import type { CallOptions } from "../../src/plugins/transport.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { RunningConductor } from "../e2e/running-conductor.ts";
import { bunPlugin, pluginFolder, selfFromSource } from "../plugins/harness.ts";

const source = `export default definePlugin({ handleRequest(request) {
  const { upTo, bytes } = request.payload as { upTo: number; bytes: number };
  const chunk = "x".repeat(bytes);
  if (upTo === 0) return chunk;
  return (async function* () { for (let n = 0; n < upTo; n++) yield chunk; })();
} });`;
const plugin = bunPlugin("tap", source);
const sizes = [
  { bytes: 20, chunks: 50_000 },
  { bytes: 1_000, chunks: 50_000 },
  { bytes: 100_000, chunks: 3_000 },
];
const rounds = 2_000;

interface Row {
  what: string;
  value: number;
  unit: "µs" | "chunks/s" | "MB/s";
}
const rows: Row[] = [];

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function latency(what: string, ask: () => Promise<unknown>): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const began = Bun.nanoseconds();
    await ask();
    times.push((Bun.nanoseconds() - began) / 1_000);
  }
  rows.push({ what, value: median(times.slice(rounds / 10)), unit: "µs" });
}

async function throughput(
  what: string,
  run: (bytes: number, chunks: number) => Promise<void>,
): Promise<void> {
  for (const { bytes, chunks } of sizes) {
    const began = performance.now();
    await run(bytes, chunks);
    const seconds = (performance.now() - began) / 1_000;
    rows.push({ what: `${what}, ${bytes} bytes each`, value: chunks / seconds, unit: "chunks/s" });
    rows.push({
      what: `${what}, ${bytes} bytes each`,
      value: (bytes * chunks) / seconds / 1e6,
      unit: "MB/s",
    });
  }
}

async function byDispatch(): Promise<void> {
  const root = pluginFolder({ tap: plugin });
  const manager = new PluginManager({
    dirs: [root],
    bundled: [],
    config: {},
    order: [],
    graceMs: 1_000,
    startTimeoutMs: 10_000,
    clock: new SystemClock(),
    log: silentLog,
    publisher: { publish: () => undefined },
    random: () => 0.5,
    runId: `bench-${process.pid}`,
    selfCommand: selfFromSource,
    environment: process.env,
    dataFolder: () => null,
    mayStart: () => ({ ok: true }),
    cgroupPlace: null,
  });
  await manager.discover();
  await manager.startAll();
  const options: CallOptions = { timeoutMs: 5_000, stream: { idleMs: 5_000, refuse: () => null } };
  const open = async (payload: Json) => {
    const request = { id: "r", platform: "tap", type: "message", payload };
    const answer = await manager.dispatch("tap", request, options);
    if (!answer.ok) throw new Error(answer.message);
    return answer;
  };
  await latency("dispatch: plain answer", () => open({ upTo: 0, bytes: 20 }));
  await latency("dispatch: first chunk of a stream of one", async () => {
    const { stream } = await open({ upTo: 1, bytes: 20 });
    await stream?.[Symbol.asyncIterator]().next();
    await stream?.done;
  });
  await throughput("dispatch", async (bytes, chunks) => {
    const { stream } = await open({ upTo: chunks, bytes });
    let got = 0;
    if (stream) for await (const _ of stream) got++;
    if (got !== chunks) throw new Error(`${got} of ${chunks} chunks`);
  });
  await manager.shutdown();
  rmSync(root, { recursive: true, force: true });
}

async function overHttp(): Promise<void> {
  const files = Object.fromEntries(
    Object.entries(plugin).map(([name, text]) => [join("plugins/tap", name), text]),
  );
  const config = "plugins: { dirs: [plugins], bundled: false }\n";
  const conductor = await RunningConductor.start({ config, files });
  const ask = (payload: Json) => conductor.post("/api/v1/requests", { platform: "tap", payload });
  await latency("HTTP: plain answer", async () => (await ask({ upTo: 0, bytes: 20 })).text());
  await latency("HTTP: whole stream of one", async () => (await ask({ upTo: 1, bytes: 20 })).text());
  await throughput("HTTP", async (bytes, chunks) => {
    let got = 0;
    for await (const piece of (await ask({ upTo: chunks, bytes })).body ?? []) got += piece.length;
    if (got < bytes * chunks) throw new Error(`${got} bytes of ${bytes * chunks}`);
  });
  await conductor.terminate();
  conductor.remove();
}

await byDispatch();
await overHttp();
const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
if (values.output === "json") console.log(JSON.stringify({ rounds, sizes, rows }));
else
  for (const { what, value, unit } of rows)
    console.log(`${what.padEnd(44)} ${value.toFixed(value < 100 ? 1 : 0)} ${unit}`);
