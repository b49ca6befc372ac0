/**
 * What a plugin costs: start latency and memory of each runtime, memory of the guard, round trips; and what discovery
 * costs for 10 to 10,000 of them.
 *
 *   bun test/bench/plugins.ts
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { PluginScanner } from "../../src/plugins/discovery.ts";
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

const shell = `while read -r line; do
  id=\${line#*\\"id\\":}
  id=\${id%%[,\\}]*}
  echo "{\\"jsonrpc\\":\\"2.0\\",\\"id\\":$id,\\"result\\":{\\"ok\\":true}}"
done
`;

/** Columns as wide as what stands in them. */
function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)));
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
        .join("  "),
    );
}

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
  shell: { ...execPlugin("shell", ["/bin/sh", "bot.sh"]), "bot.sh": shell },
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

const runtimes: Record<string, string> = { "host-1": "bun", script: "exec python3", shell: "exec sh" };
const startsOf: Record<string, number[]> = {};
for (const name of Object.keys(runtimes)) {
  const starts: number[] = [];
  for (let run = 0; run < 20; run++) {
    await manager.stop(name);
    const began = performance.now();
    const started = await manager.start(name);
    if (!started.ok) throw new Error(started.message);
    starts.push(performance.now() - began);
  }
  startsOf[name] = starts.sort((a, b) => a - b);
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
const rows = manager.footprintTargets().flatMap(({ plugin, rootPids }) => {
  const starts = startsOf[plugin];
  if (!starts) return [];
  const { pssMiB, privateMiB, rssMiB } = memoryOf(rootPids[0] ?? 0);
  const times = [quantile(starts, 0.5), starts.at(-1) ?? Number.NaN].map(ms);
  return [[runtimes[plugin] ?? plugin, ...times, ...[pssMiB, privateMiB, rssMiB].map((mib) => `${mib} MiB`)]];
});
printTable(["an idle plugin", "start p50", "worst", "PSS", "private", "RSS"], rows);
const guard = listProcesses().find(
  ({ pid, parentPid }) => parentPid === process.pid && commandOf(pid).includes("__guard"),
);
if (guard) console.log(`guard: ${JSON.stringify(memoryOf(guard.pid))}`);

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

await manager.shutdown();
for (const folder of [root, scratch]) rmSync(folder, { recursive: true, force: true });

/** Milliseconds of the first scan of `count` plugins, and of those after it, in which nothing changed. */
async function scanTimes(count: number, kind: "bun" | "exec"): Promise<{ cold: number[]; warm: number[] }> {
  const plugin = (name: string) =>
    kind === "bun" ? bunPlugin(name, echo, "start: lazy\n") : execPlugin(name, ["sleep", "1"]);
  const names = Array.from({ length: count }, (_, n) => `p${n}`);
  const many = pluginFolder(Object.fromEntries(names.map((name) => [name, plugin(name)])));
  const times = { cold: [] as number[], warm: [] as number[] };
  for (let run = 0; run < 5; run++) {
    const scanner = new PluginScanner({ dirs: [many], bundled: [], searchPath: process.env.PATH ?? "" });
    for (const list of [times.cold, times.warm]) {
      const began = performance.now();
      const { plugins } = await scanner.scan();
      list.push(performance.now() - began);
      if (plugins.some(({ manifest }) => manifest === null)) throw new Error(plugins[0]?.errors.join("\n"));
    }
  }
  rmSync(many, { recursive: true, force: true });
  return times;
}

const scans: string[][] = [];
for (const count of [10, 100, 1_000, 10_000])
  for (const kind of ["bun", "exec"] as const) {
    const { cold, warm } = await scanTimes(count, kind);
    const medians = [cold, warm].map((list) =>
      ms(
        quantile(
          list.sort((a, b) => a - b),
          0.5,
        ),
      ),
    );
    scans.push([`${count.toLocaleString("en")} ${kind}`, ...medians]);
  }
printTable(["discovery, median", "first", "unchanged"], scans);
