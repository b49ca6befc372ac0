/**
 * What measuring costs: microseconds a call, medians over rounds.
 *
 *   bun test/bench/sampling.ts [-o json]
 */
import { parseArgs } from "node:util";
import { type Clock, SystemClock, VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { cgroupFootprint, footprints } from "../../src/monitor/footprint.ts";
import { Gaps } from "../../src/monitor/gaps.ts";
import { ProcSource } from "../../src/monitor/host-source.ts";
import { privateBytes, pssBytes } from "../../src/monitor/process-memory.ts";
import { processTrees } from "../../src/monitor/process-tree.ts";
import { Sampler } from "../../src/monitor/sampler.ts";
import { SampleWindow } from "../../src/monitor/window.ts";
import { StatmWatch } from "../../src/plugins/statm-watch.ts";

export interface CallTiming {
  operation: string;
  medianUs: number;
  lowerQuartileUs: number;
  upperQuartileUs: number;
}

function timed(operation: string, calls: number, run: () => unknown, rounds = 21): CallTiming {
  for (let i = 0; i < calls; i++) run();
  const each = Array.from({ length: rounds }, () => {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) run();
    return (Bun.nanoseconds() - begin) / calls / 1_000;
  }).sort((a, b) => a - b);
  const quantile = (q: number) => each[Math.floor(q * (rounds - 1))] ?? Number.NaN;
  return {
    operation,
    medianUs: quantile(0.5),
    lowerQuartileUs: quantile(0.25),
    upperQuartileUs: quantile(0.75),
  };
}

/** The watch over memory where no cgroup holds it: ten plugins of one process each. */
function timeStatmWatch(): CallTiming[] {
  const children = Array.from({ length: 10 }, () => Bun.spawn(["sleep", "60"]));
  let elapsedMs = 0;
  /** A second passes with every look: the trees are read anew each time. */
  const hurried: Clock = {
    nowMs: () => 0,
    monotonicMs: () => (elapsedMs += 1_000),
    after: () => ({ cancel: () => undefined }),
  };
  const [between, scanning] = [new StatmWatch(new VirtualClock()), new StatmWatch(hurried)];
  for (const { pid } of children)
    for (const watch of [between, scanning]) watch.add({ pid, startTicks: 0 }, 2 ** 40, () => undefined);
  const timings = [
    timed("memory watch: ten trees", 20, () => between.look()),
    timed("memory watch: ten trees, read anew", 5, () => scanning.look()),
  ];
  for (const child of children) child.kill("SIGKILL");
  return timings;
}

/** Times every read of the monitor on this machine. About a second. */
export function timeSampling(): CallTiming[] {
  const source = new ProcSource(null);
  const window = new SampleWindow(60);
  const sampler = new Sampler({
    clock: new SystemClock(),
    log: silentLog,
    gaps: new Gaps(silentLog, { publish() {} }, () => {}),
    source,
    window,
    intervalMs: 30_000,
    diskPath: "/",
    footprintTargets: () => [],
    onSample: () => {},
  });
  const target = { plugin: "self", rootPids: [process.pid], cgroups: [], rootPidsOutside: [process.pid] };
  const cgroups = source.meter.cgroups.slice(0, 1);
  const timings = [
    timed(`reflex reading, ${source.meter.cgroups.length} cgroups around`, 200, () => source.memory()),
    timed("full sample without footprints", 50, () => sampler.sampleNow()),
    timed("footprint by cgroup", 100, () => cgroupFootprint({ ...target, cgroups, rootPidsOutside: [] })),
    timed("footprint by PSS: a tree of one", 3, () => footprints([target])),
    timed("process trees: one scan of /proc", 5, () => processTrees([[process.pid]])),
    timed("PSS of one process", 5, () => pssBytes("self")),
    timed("private memory of one process", 100, () => privateBytes("self")),
    ...timeStatmWatch(),
    timed("trends of 60 samples", 50, () => window.trends()),
    timed("anomalies of 60 samples", 50, () => window.anomalies(3)),
  ];
  source.meter.close();
  return timings;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: "string", short: "o", default: "table" } } });
  const timings = timeSampling();
  if (values.output === "json") console.log(JSON.stringify(timings, null, 2));
  else
    for (const { operation, medianUs, lowerQuartileUs, upperQuartileUs } of timings)
      console.log(
        `${operation.padEnd(42)}${medianUs.toFixed(1).padStart(9)} µs  (${lowerQuartileUs.toFixed(1)}..${upperQuartileUs.toFixed(1)})`,
      );
}
