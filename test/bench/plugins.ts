/**
 * What a plugin costs: start latency, memory of an idle host and of the guard, round trips of both runtimes.
 *
 *   bun test/bench/plugins.ts
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { discover } from "../../src/plugins/discovery.ts";
import { PluginManager } from "../../src/plugins/manager.ts";
import { listProcesses } from "../../src/plugins/proc-table.ts";
import { bunPlugin, execPlugin, pluginFolder } from "../plugins/harness.ts";

const fixtures = join(import.meta.dir, "../fixtures/plugins");
const scratch = mkdtempSync(join(tmpdir(), "conductor-bench-"));
const executable = join(scratch, "conductor");

async function compile(): Promise<void> {
  const how = {
    outfile: executable,
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadPackageJson: true,
  };
  const entrypoints = [join(fixtures, "main.ts")];
  const options = { entrypoints, target: "bun", format: "esm", minify: true, bytecode: true, compile: how };
  const result = await Bun.build(options as Bun.BuildConfig);
  if (!result.success) throw new AggregateError(result.logs);
}

/** Megabytes of one process: proportional, private and resident. */
function memoryOf(pid: number): { pssMiB: number; privateMiB: number; rssMiB: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN) / 1024;
  const round = (value: number) => Math.round(value * 10) / 10;
  const own = mib("Private_Dirty") + mib("Private_Clean");
  return { pssMiB: round(mib("Pss")), privateMiB: round(own), rssMiB: round(mib("Rss")) };
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;

const echo = "export default definePlugin({ handleRequest: (request) => request.payload });";
const program = `import json, sys
for line in sys.stdin:
    call = json.loads(line)
    result = call["params"].get("request", {}).get("payload") if call["method"] == "handle_request" else {"ok": True}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}) + "\\n")
    sys.stdout.flush()
`;

await compile();
const names = ["host-1", "host-2", "host-3", "host-4"];
const root = pluginFolder({
  ...Object.fromEntries(
    names.map((name) => [name, bunPlugin(name, echo, "limits: { concurrency: 1000 }\n")]),
  ),
  script: {
    ...execPlugin("script", ["/usr/bin/python3", "bot.py"], "limits: { concurrency: 1000 }\n"),
    "bot.py": program,
  },
});
const runId = `bench-${process.pid}`;
const clock = new SystemClock();
const manager = new PluginManager({
  dirs: [root],
  bundled: [],
  config: {},
  order: [],
  graceMs: 2_000,
  startTimeoutMs: 10_000,
  clock,
  log: silentLog,
  publisher: { publish: () => undefined },
  random: () => 0.5,
  runId,
  selfCommand: [executable],
  environment: process.env,
  dataFolder: () => null,
  mayStart: () => ({ ok: true }),
});
await manager.discover();
await manager.startAll();
const ms = (value: number) => `${value.toFixed(1)} ms`;

for (const name of ["host-1", "script"]) {
  const starts: number[] = [];
  for (let run = 0; run < 20; run++) {
    await manager.stop(name);
    const began = performance.now();
    await manager.start(name);
    starts.push(performance.now() - began);
  }
  starts.sort((a, b) => a - b);
  console.log(`start to ready, ${name}: p50 ${ms(quantile(starts, 0.5))}, worst ${ms(starts.at(-1) ?? 0)}`);
}

const payload = { text: "x".repeat(1_000) };
for (const name of ["host-1", "script"]) {
  const trips: number[] = [];
  for (let n = 0; n < 6_000; n++) {
    const began = performance.now();
    const request = { id: String(n), platform: name, type: "message", payload };
    const answer = await manager.dispatch(name, request, { timeoutMs: 5_000 });
    if (!answer.ok) throw new Error(answer.message);
    if (n >= 1_000) trips.push((performance.now() - began) * 1_000);
  }
  trips.sort((a, b) => a - b);
  const [p50, p99] = [quantile(trips, 0.5), quantile(trips, 0.99)];
  console.log(`round trip of 1 KB, ${name}: p50 ${p50.toFixed(0)} µs, p99 ${p99.toFixed(0)} µs`);
}

const stops: number[] = [];
for (let run = 0; run < 10; run++) {
  const began = performance.now();
  await manager.shed("host-2", { urgent: true, reason: "bench" });
  stops.push(performance.now() - began);
  await manager.restore("host-2");
}
stops.sort((a, b) => a - b);
console.log(`urgent shed until gone: p50 ${ms(quantile(stops, 0.5))}, worst ${ms(stops.at(-1) ?? 0)}`);

await Bun.sleep(500);
for (const target of manager.footprintTargets())
  console.log(`idle ${target.plugin}: ${JSON.stringify(memoryOf(target.rootPids[0] ?? 0))}`);
const guard = listProcesses().find(
  ({ pid, parentPid }) => parentPid === process.pid && commandOf(pid).includes("__guard"),
);
if (guard) console.log(`guard: ${JSON.stringify(memoryOf(guard.pid))}`);

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

const many = pluginFolder(
  Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`p${n}`, execPlugin(`p${n}`, ["sleep", "1"])])),
);
const began = performance.now();
await discover([many], []);
console.log(`discovery of 1,000 manifests: ${ms(performance.now() - began)}`);

await manager.shutdown();
for (const folder of [root, many, scratch]) rmSync(folder, { recursive: true, force: true });
