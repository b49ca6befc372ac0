/**
 * What the conductor itself costs in memory: the compiled executable with its four bundled plugins, a tick every 10 ms,
 * so that 1,000 ticks take 10 s (30,000 are 5 minutes; at the default of 30 s, 10 days).
 *
 *   bun test/bench/memory.ts [--ticks 1000] [-o json]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { RunningConductor, until } from "../e2e/running-conductor.ts";

const MiB = 2 ** 20;
const limitMiB = 50;

/** Proportional set size of a process: what is shared counts by share. */
function pssMiB(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return (Number(/^Pss: +(\d+)/m.exec(text)?.[1]) * 1024) / MiB;
}

/** The pid of the guard: the conductor's child that is no plugin. */
function guardOf(conductor: number): number | null {
  const children = readFileSync(`/proc/${conductor}/task/${conductor}/children`, "utf8").trim().split(" ");
  const guard = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("__guard"));
  return guard === undefined ? null : Number(guard);
}

/** PSS after every quarter of `ticks`, in MiB. */
export async function measureMemory(ticks: number) {
  const running = await RunningConductor.start({
    config: "monitor: { interval: 10ms }\nplugins: { bundled: true, config: { android: { port: 0 } } }\n",
  });
  try {
    const pid = running.process.pid;
    const guard = guardOf(pid);
    const points: { ticks: number; conductorMiB: number; guardMiB: number }[] = [];
    for (const share of [0.25, 0.5, 0.75, 1]) {
      const due = ticks * share;
      await until(`${due} ticks`, 60_000 + ticks * 40, async () => {
        const text = await (await fetch(running.url("/metrics"))).text();
        return Number(/^conductor_tick_duration_seconds_count (\d+)/m.exec(text)?.[1]) >= due;
      });
      points.push({ ticks: due, conductorMiB: pssMiB(pid), guardMiB: guard === null ? 0 : pssMiB(guard) });
    }
    return points;
  } finally {
    await running.terminate();
    running.remove();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { ticks: { type: "string", default: "1000" }, output: { type: "string", short: "o" } },
  });
  const points = await measureMemory(Number(values.ticks));
  if (values.output === "json") {
    console.log(JSON.stringify({ limitMiB, points }, null, 2));
  } else {
    for (const { ticks, conductorMiB, guardMiB } of points)
      console.log(
        `${String(ticks).padStart(7)} ticks: conductor ${conductorMiB.toFixed(1)} MiB PSS, its guard ${guardMiB.toFixed(1)} MiB`,
      );
  }
  const last = points.at(-1)?.conductorMiB ?? Number.NaN;
  if (!(last < limitMiB)) {
    console.error(`${last.toFixed(1)} MiB is not under ${limitMiB} MiB`);
    process.exitCode = 1;
  }
}
