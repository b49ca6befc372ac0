/**
 * The health loop over 4, 40 and 400 plugins on the system clock: when within a round the checks begin (a histogram), what a
 * check costs the loop, and what one hanging plugin does to the others. Plugins answer after 1 ms, without a process.
 *
 *   bun test/bench/health.ts [-o json]
 */
import { parseArgs } from "node:util";
import { SystemClock } from "../../src/clock.ts";
import { HealthMonitor } from "../../src/health/monitor.ts";
import type { CheckAnswer, Probe, ProbedPlugin } from "../../src/health/probe.ts";
import { silentLog } from "../../src/log.ts";

/** Of conductor's CPU for one round over 4 plugins; the mission allows 40. */
export const aimRoundMs = 5;

const usualIntervalMs = 2_000;
const rounds = 3;
const bins = 20;
const answerMs = 1;

export interface HealthTiming {
  plugins: number;
  hanging: number;
  /** Checks that began in each twentieth of the round, over all rounds. */
  spread: number[];
  /** Of the fullest twentieth and of an even spread. */
  mostInBin: number;
  evenInBin: number;
  beatP50Us: number;
  beatMaxUs: number;
  /** CPU of the whole process, in user and kernel, for one round. */
  cpuRoundMs: number;
  intervalMs: number;
  /** Checks that the plugins without a fault answered, of those that were due. */
  answered: number;
  due: number;
  slowestAnswerMs: number;
}

class BenchProbe implements Probe {
  readonly #listed: ProbedPlugin[];
  readonly startsAt: number[] = [];

  constructor(
    readonly clock: SystemClock,
    count: number,
    readonly hanging: number,
  ) {
    this.#listed = Array.from({ length: count }, (_, i) => ({
      name: `p${i}`,
      platform: `p${i}`,
      expected: true,
    }));
  }

  plugins(): readonly ProbedPlugin[] {
    return this.#listed;
  }

  check(name: string, { signal }: { signal: AbortSignal }): Promise<CheckAnswer> {
    this.startsAt.push(this.clock.monotonicMs());
    return new Promise((resolve) => {
      const hangs = Number(name.slice(1)) < this.hanging;
      const late: CheckAnswer = { status: "failure", kind: "timeout", detail: "hangs" };
      if (hangs) signal.addEventListener("abort", () => resolve(late), { once: true });
      else this.clock.after(answerMs, () => resolve({ status: "healthy" }));
    });
  }
}

/** Runs `rounds` rounds over `plugins`, of which the first `hanging` never answer. */
export async function benchHealth(
  plugins: number,
  hanging: number,
  intervalMs = usualIntervalMs,
): Promise<HealthTiming> {
  const clock = new SystemClock();
  const probe = new BenchProbe(clock, plugins, hanging);
  const beatsUs: number[] = [];
  const answersMs: number[] = [];
  const monitor = new HealthMonitor({
    clock,
    log: silentLog,
    events: { publish: () => undefined },
    probe,
    observers: [
      {
        checked: ({ failure, durationSeconds }) => {
          if (failure === null) answersMs.push((durationSeconds ?? 0) * 1_000);
        },
      },
    ],
    intervalMs,
    timeoutMs: intervalMs,
    slowMs: 200,
    failures: 3,
    seed: 1,
    beaten: (seconds) => void beatsUs.push(seconds * 1e6),
  });
  const cpuBefore = process.cpuUsage();
  const startedAt = clock.monotonicMs();
  monitor.start();
  await new Promise<void>((resolve) => clock.after(rounds * intervalMs - 1, resolve));
  monitor.stop();
  const { user, system } = process.cpuUsage(cpuBefore);
  const spread = Array.from({ length: bins }, () => 0);
  for (const at of probe.startsAt) {
    const bin = Math.floor((((at - startedAt) % intervalMs) / intervalMs) * bins);
    spread[bin] = (spread[bin] ?? 0) + 1;
  }
  const sorted = beatsUs.toSorted((a, b) => a - b);
  return {
    plugins,
    hanging,
    spread,
    mostInBin: Math.max(...spread),
    evenInBin: probe.startsAt.length / bins,
    beatP50Us: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    beatMaxUs: sorted.at(-1) ?? Number.NaN,
    intervalMs,
    cpuRoundMs: (user + system) / 1_000 / rounds,
    answered: answersMs.length,
    due: (plugins - hanging) * rounds,
    slowestAnswerMs: Math.max(...answersMs),
  };
}

function show(timing: HealthTiming): string {
  const { plugins, hanging, spread, mostInBin, evenInBin, beatP50Us, beatMaxUs, cpuRoundMs, intervalMs } =
    timing;
  const bars = " ▁▂▃▄▅▆▇█";
  const drawn = spread.map((count) => bars[Math.ceil((count / mostInBin) * 8)]).join("");
  return [
    `${plugins} plugins, ${hanging} hanging`,
    `  spread over a round  |${drawn}|  fullest twentieth ${mostInBin}, even ${evenInBin.toFixed(1)}`,
    `  a beat of the loop   p50 ${beatP50Us.toFixed(0)} us, slowest ${beatMaxUs.toFixed(0)} us`,
    `  CPU a round          ${cpuRoundMs.toFixed(2)} ms of ${intervalMs} ms${plugins === 4 ? ` (aim < ${aimRoundMs})` : ""}, ${((cpuRoundMs * 1_000) / plugins).toFixed(0)} us a check`,
    `  answered             ${timing.answered} of ${timing.due} due, slowest ${timing.slowestAnswerMs.toFixed(1)} ms (the plugin takes ${answerMs})`,
  ].join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
  const timings: HealthTiming[] = [];
  // Code that has not run yet is compiled: that is no cost of a round.
  await benchHealth(40, 1, 200);
  for (const [plugins, hanging] of [
    [4, 0],
    [40, 0],
    [400, 0],
    [40, 1],
  ] as const)
    timings.push(await benchHealth(plugins, hanging));
  console.log(
    values.output === "json" ? JSON.stringify({ aimRoundMs, timings }) : timings.map(show).join("\n"),
  );
}
