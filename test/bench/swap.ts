/**
 * A plugin swapped under load on the compiled conductor, over HTTP: 500 requests a second, open loop, ten swaps in 30 s
 * (half by writing the folder, half by order, one to a version that fails), then the same without swaps; then shorter with
 * Python and with two instances, and a rollback at the end of each. Exits with 1 when a request was lost, answered twice or
 * handled by two.
 *
 *   bun test/bench/swap.ts [--seconds 30] [--swaps 10] [-o json]
 */

import { parseArgs } from "node:util";
import { type CountedVersion, complaint, countedFiles, judged, talliesOf } from "../e2e/counted-plugin.ts";
import { epochMs, getText, type LoopAnswer, OpenLoop, postText } from "../e2e/open-loop.ts";
import { executable, RunningConductor } from "../e2e/running-conductor.ts";
import { type Swap, SwapOrders } from "../e2e/swap-orders.ts";
import { roomyBudget } from "../e2e/thresholds.ts";

const perSecond = 500;
/** `/healthz` is answered by the conductor alone: how long it takes is how long its loop was busy or had no processor. */
const probesPerSecond = 500;

interface Scene {
  title: string;
  runtime: "bun" | "exec";
  instances: number;
  seconds: number;
  swaps: number;
  /** In place of swaps so many other programs of the same executable are started: what the processors' share alone costs. */
  starts?: number;
}

interface Quantiles {
  requests: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

interface Report {
  scene: Scene;
  wrong: string | null;
  requests: number;
  byVersion: Record<string, number>;
  swaps: Swap[];
  /**
   * The slowest request of each swap, and of each 100 ms without one, the median of each: what other programs do to the
   * machine now and then weighs less.
   */
  usualSlowestMs: { during: number; elsewhere: number };
  during: Quantiles;
  whole: Quantiles;
  /** Of `/healthz`. */
  loopDuring: Quantiles;
  loopWhole: Quantiles;
}

function quantiles(answers: readonly LoopAnswer[]): Quantiles {
  const sorted = answers.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const slowest = (answers: readonly LoopAnswer[]): number =>
  Math.max(...answers.map(({ latencyMs }) => latencyMs));

function usualSlowest(answers: readonly LoopAnswer[], swaps: readonly Swap[]): Report["usualSlowestMs"] {
  const each = swaps.map((swap) => answers.filter(dueIn([swap]))).filter(({ length }) => length > 0);
  const others = answers.filter((answer) => !dueIn(swaps)(answer));
  const windows = Map.groupBy(others, ({ dueMs }) => Math.floor(dueMs / 100));
  return { during: median(each.map(slowest)), elsewhere: median([...windows.values()].map(slowest)) };
}

const dueIn =
  (swaps: readonly Swap[]) =>
  ({ dueMs }: LoopAnswer): boolean =>
    swaps.some(({ beganMs, endedMs }) => beganMs <= dueMs && dueMs <= endedMs);

/** Spread over the time; every second one by order, the one in the middle to a version that fails, a rollback last. */
async function swapAll(orders: SwapOrders, scene: Scene, base: CountedVersion): Promise<void> {
  const beganMs = performance.now();
  for (let n = 1; n <= scene.swaps; n++) {
    await Bun.sleep(beganMs + ((n - 0.5) * scene.seconds * 1_000) / scene.swaps - performance.now());
    const next: CountedVersion = { ...base, version: `1.${n}.0` };
    if (n === Math.ceil(scene.swaps / 2)) next.fails = n % 4 < 2 ? "initialize" : "health";
    if (n === scene.swaps) await orders.rollback();
    else await (n % 2 === 0 ? orders.reload(next) : orders.written(next));
  }
}

/** Starts the executable as often as there would be swaps, beside the conductor; yields them as if they were swaps. */
async function startOthers({ seconds, starts = 0 }: Scene): Promise<Swap[]> {
  const beganMs = performance.now();
  const done: Swap[] = [];
  for (let n = 1; n <= starts; n++) {
    await Bun.sleep(beganMs + ((n - 0.5) * seconds * 1_000) / starts - performance.now());
    const startMs = epochMs();
    const child = Bun.spawn([executable, "--version"], { stdio: ["ignore", "ignore", "ignore"] });
    await child.exited;
    const times = { beganMs: startMs, endedMs: epochMs() };
    done.push({ how: "started", from: "-", to: "-", outcome: "another program", reason: "", ...times });
  }
  return done;
}

async function run(scene: Scene): Promise<Report> {
  const { runtime, instances, seconds } = scene;
  const base: CountedVersion = { version: "1.0.0", runtime, yaml: `instances: ${instances}\n` };
  const files = Object.entries(countedFiles(base)).map(([file, text]) => [`plugins/bot/${file}`, text]);
  const conductor = await RunningConductor.start({
    config: `budget: { memory: ${roomyBudget()} }\nplugins: { dirs: [plugins], bundled: false }\n`,
    files: Object.fromEntries(files),
  });
  try {
    const port = Number(conductor.port);
    const loop = new OpenLoop({
      port,
      perSecond,
      text: (id) => postText(port, "/api/v1/requests", { platform: "bot", payload: { id } }),
    });
    const probe = new OpenLoop({ port, perSecond: probesPerSecond, text: () => getText(port, "/healthz") });
    const orders = new SwapOrders(conductor);
    // The code is warm, and the first version kept, before anything is counted.
    await Bun.sleep(1_000);
    loop.start();
    probe.start();
    const [others] = await Promise.all([
      startOthers(scene),
      Bun.sleep(seconds * 1_000),
      swapAll(orders, scene, base),
    ]);
    const [answers, probes] = await Promise.all([loop.stop(), probe.stop()]);
    const verdict = judged(answers, await talliesOf(conductor, instances));
    const events = [...orders.done, ...others];
    const during = dueIn(events);
    return {
      scene,
      wrong: complaint(verdict),
      requests: verdict.requests,
      byVersion: Object.fromEntries(verdict.byVersion),
      swaps: events,
      usualSlowestMs: usualSlowest(answers, events),
      during: quantiles(answers.filter(during)),
      whole: quantiles(answers),
      loopDuring: quantiles(probes.filter(during)),
      loopWhole: quantiles(probes),
    };
  } finally {
    await conductor.terminate();
    conductor.remove();
  }
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

const line = ({ requests, p50Ms, p99Ms, p999Ms, maxMs }: Quantiles): string =>
  `p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, p99.9 ${ms(p999Ms)}, max ${ms(maxMs)} (${requests})`;

function print({
  scene,
  wrong,
  requests,
  byVersion,
  swaps,
  usualSlowestMs,
  during,
  whole,
  loopDuring,
  loopWhole,
}: Report): void {
  console.log(`\n${scene.title}: ${requests} requests at ${perSecond}/s in ${scene.seconds} s`);
  console.log(`  ${wrong ?? "none lost, none answered twice, none handled by two"}`);
  if (swaps.length > 0) console.log(`  requests due during one:    ${line(during)}`);
  console.log(`  all requests:               ${line(whole)}`);
  const { during: slowestDuring, elsewhere } = usualSlowestMs;
  const inMost = swaps.length > 0 ? `in most of them ${ms(slowestDuring)}, ` : "";
  console.log(`  slowest request:            ${inMost}in most 100 ms elsewhere ${ms(elsewhere)}`);
  if (swaps.length > 0) console.log(`  /healthz during one:        ${line(loopDuring)}`);
  console.log(`  /healthz, all:              ${line(loopWhole)}`);
  for (const { how, from, to, outcome, beganMs, endedMs } of swaps)
    console.log(`  ${how.padEnd(8)} ${from} -> ${to}: ${outcome} in ${ms(endedMs - beganMs)}`);
  const answered = Object.entries(byVersion).map(([version, count]) => `${version} ${count}`);
  console.log(`  answered by: ${answered.join(", ")}`);
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    swaps: { type: "string", default: "10" },
    output: { type: "string", short: "o" },
  },
});
const seconds = Number(values.seconds);
const swaps = Number(values.swaps);
const short = { seconds: Math.max(4, Math.round(seconds / 3)), swaps: Math.max(3, Math.round(swaps / 3)) };
const scenes: Scene[] = [
  { title: "bun, with swaps", runtime: "bun", instances: 1, seconds, swaps },
  { title: "bun, without swaps", runtime: "bun", instances: 1, seconds, swaps: 0 },
  {
    title: "bun, other programs started instead",
    runtime: "bun",
    instances: 1,
    ...short,
    swaps: 0,
    starts: swaps,
  },
  { title: "exec (python), with swaps", runtime: "exec", instances: 1, ...short },
  { title: "exec (python), without swaps", runtime: "exec", instances: 1, ...short, swaps: 0 },
  { title: "bun, two instances, with swaps", runtime: "bun", instances: 2, ...short },
];
const reports: Report[] = [];
for (const scene of scenes) {
  const report = await run(scene);
  reports.push(report);
  if (values.output !== "json") print(report);
}
if (values.output === "json") console.log(JSON.stringify(reports, null, 2));
if (reports.some(({ wrong }) => wrong !== null)) process.exit(1);
