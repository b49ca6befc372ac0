/**
 * How fast memory is given back: the compiled conductor in a memory cgroup, a plugin that takes 40 % of the budget in
 * 300 ms, again and again. From the crossing of the emergency line to the first process that is gone, and to the use
 * under the line again; both seen from outside, by a reading every millisecond. Idle; with as many requests as get
 * through; on a disk that takes 300 ms for every commit; with many plugins.
 *
 *   bun test/bench/reflex.ts [--crossings 20] [--scene idle,load,disk,plugins] [-o json]
 *
 * Exits with 1 when a crossing was not met within 200 ms or the kernel killed something. It needs a memory cgroup that
 * can be written to.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { canMakeCgroups } from "../e2e/memory-cgroup.ts";
import {
  type Crossing,
  MiB,
  type Pressed,
  PressedConductor,
  type ShedAction,
} from "../e2e/pressed-conductor.ts";
import { wrk } from "./load/wrk.ts";

const limitMs = 200;
const budgetBytes = 256 * MiB;
const emergencyRatio = 0.95;
/** 40 % of the budget in 300 ms, and on at that pace. */
const hog = [{ bytes: budgetBytes, afterMs: 300 / 0.4 }];
const manyPlugins = 60;

const bot = {
  "plugins/last/plugin.yaml":
    "name: last\nversion: 1.0.0\nruntime: bun\nentry: index.ts\nstart: eager\nlimits: { concurrency: 64 }\n",
  "plugins/last/index.ts": `
import { definePlugin } from "conductor/plugin";
export default definePlugin({
  initialize() {},
  healthCheck: () => ({ status: "healthy" }),
  handleRequest: ({ payload }) => payload,
  shutdown() {},
});`,
};

const idlers = Array.from({ length: manyPlugins }, (_, index) => `idler${index}`);
/** Protected: they are judged with every reading and stay, or their return would take most of the time. */
const idle = (name: string) =>
  `name: ${name}\nversion: 1.0.0\nruntime: exec\nprotocol: none\ncommand: ["sleep", "1000000"]\nstart: eager\nprotect: true\nhealth: { kind: none }\n`;

interface Scene {
  title: string;
  load: boolean;
  pressed: Partial<Pressed>;
}

function scenes(preload: string): Record<string, Scene> {
  return {
    idle: { title: "idle", load: false, pressed: {} },
    load: { title: "as many requests as get through", load: true, pressed: { files: bot } },
    disk: {
      title: "300 ms for every commit to disk, and requests",
      load: true,
      pressed: { files: bot, environment: { LD_PRELOAD: preload, SLOW_SYNC_MS: "300" } },
    },
    plugins: {
      title: `${manyPlugins} plugins more`,
      load: false,
      pressed: {
        budgetBytes: 2 * budgetBytes,
        hog: [{ bytes: 2 * budgetBytes, afterMs: 300 / 0.4 }],
        files: Object.fromEntries(idlers.map((name) => [`plugins/${name}/plugin.yaml`, idle(name)])),
      },
    },
  };
}

interface Quantiles {
  p50: number;
  p99: number;
  max: number;
}

interface Report {
  scene: string;
  title: string;
  crossings: number;
  /** From the crossing to the first process gone, and to the use under the line. */
  signalMs: Quantiles;
  backMs: Quantiles;
  /** As conductor tells them: from the crossing to the reading that saw it, and from there to the signal. */
  toldNoticedMs: Quantiles;
  toldSignalMs: Quantiles;
  peakRatio: number;
  kernelKills: number;
  requestsPerSecond: number | null;
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

async function run(name: string, { title, load, pressed }: Scene, count: number): Promise<Report> {
  const subject = await PressedConductor.start({
    name: `reflex-${name}`,
    budgetBytes,
    scaler:
      'shed: "94.9%", emergency: "95%", restore: "85%", margin: "2%", dwell: 0s, putOff: { initial: 0s, max: 0s }',
    hog,
    ...pressed,
  });
  const crossings: (Crossing & { crossedMs: number })[] = [];
  let answered = 0;
  let loadedMs = 0;
  try {
    for (let n = 0; crossings.length < count && n < 3 * count; n++) {
      const url = subject.conductor.url("/api/v1/requests");
      const startMs = performance.now();
      const loading = load
        ? wrk(url, JSON.stringify({ platform: "last", payload: { n } }), { connections: 64, seconds: 3 })
        : null;
      await Bun.sleep(load ? 700 + 37 * n : 100 + 37 * n);
      const { crossedMs, ...seen } = await subject.press(emergencyRatio);
      // One that the forecast met before is none.
      if (crossedMs !== null) crossings.push({ ...seen, crossedMs });
      if (loading) {
        answered += (await loading).answered;
        loadedMs += performance.now() - startMs;
      }
      await subject.settled();
    }
    const told = (await subject.decisions()).flatMap(({ actions }) => actions.slice(0, 1)).filter(isShed);
    const toldMs = (key: "noticedMs" | "signalMs") => quantiles(told.flatMap((action) => action[key] ?? []));
    return {
      scene: name,
      title,
      crossings: crossings.length,
      signalMs: quantiles(crossings.map(({ crossedMs, signalSeenMs }) => signalSeenMs - crossedMs)),
      backMs: quantiles(crossings.map(({ crossedMs, backMs }) => backMs - crossedMs)),
      toldNoticedMs: toldMs("noticedMs"),
      toldSignalMs: toldMs("signalMs"),
      peakRatio: Math.max(...crossings.map(({ peakBytes }) => peakBytes)) / subject.budgetBytes,
      kernelKills: subject.cgroup.ownKills(),
      requestsPerSecond: load ? (1_000 * answered) / loadedMs : null,
    };
  } finally {
    await subject.end();
  }
}

const isShed = ({ kind }: ShedAction): boolean => kind === "shed";

const ms = ({ p50, p99, max }: Quantiles): string =>
  `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`;

function print(report: Report): void {
  const { title, crossings, requestsPerSecond, peakRatio, kernelKills } = report;
  console.log(`\n${title}: ${crossings} crossings of the emergency line`);
  if (requestsPerSecond !== null)
    console.log(`  requests answered:          ${requestsPerSecond.toFixed(0)} a second`);
  console.log(`  crossing to first gone:     ${ms(report.signalMs)}`);
  console.log(`  crossing to memory back:    ${ms(report.backMs)}`);
  console.log(`  told, crossing to reading:  ${ms(report.toldNoticedMs)}`);
  console.log(`  told, reading to signal:    ${ms(report.toldSignalMs)}`);
  console.log(
    `  most in use:                ${(100 * peakRatio).toFixed(1)} % of the budget; kernel kills: ${kernelKills}`,
  );
}

/** The preloaded library; null where there is no C compiler. */
function compilePreload(folder: string): string | null {
  const out = join(folder, "slow-sync.so");
  const source = join(import.meta.dir, "slow-sync.c");
  if (!Bun.which("gcc")) return null;
  const { exitCode } = Bun.spawnSync(["gcc", "-shared", "-fPIC", "-O1", "-o", out, source]);
  return exitCode === 0 ? out : null;
}

const { values } = parseArgs({
  options: {
    crossings: { type: "string", default: "20" },
    scene: { type: "string", default: "idle,load,disk,plugins" },
    output: { type: "string", short: "o" },
  },
});
if (!canMakeCgroups()) {
  console.error("no memory cgroup can be made here: run it as root, or in a delegated unit");
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "conductor-reflex-"));
const reports: Report[] = [];
try {
  const preload = compilePreload(folder);
  const known = scenes(preload ?? "");
  for (const name of values.scene.split(",")) {
    const scene = known[name];
    if (!scene) throw new Error(`--scene ${name}: expected some of ${Object.keys(known).join(", ")}`);
    if (name === "disk" && preload === null) {
      console.error("disk: left out, there is no gcc for the library that slows it down");
      continue;
    }
    const report = await run(name, scene, Number(values.crossings));
    reports.push(report);
    if (values.output !== "json") print(report);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.output === "json") console.log(JSON.stringify({ limitMs, reports }, null, 2));
if (reports.some(({ signalMs, kernelKills }) => signalMs.max > limitMs || kernelKills > 0)) process.exit(1);
