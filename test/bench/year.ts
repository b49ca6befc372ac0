/**
 * A simulated year and more: 200 hosts × 30 days under five kinds of memory pressure, each under every arm.
 * `bun test/bench/year.ts [--hosts 200] [--days 30] [--seed 1] [--processes 2] [--json FILE]`; progress on stderr.
 */

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { table } from "../../src/cli/table.ts";
import { bootstrapMean } from "../../src/replay/bootstrap.ts";
import { generatedHost, type PatternName } from "../../src/replay/scenarios.ts";
import { type Metrics, metricsOf } from "../../src/replay/tally.ts";
import { armNames, makeArms } from "./year/arms.ts";

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "200" },
    days: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    processes: { type: "string", default: String(Math.min(8, availableParallelism())) },
    json: { type: "string" },
    /** Which part this process does: `0/2`. */
    part: { type: "string" },
  },
});
const [hosts, days, seed, processes] = [values.hosts, values.days, values.seed, values.processes].map(Number);
if (![hosts, days, seed, processes].every((value) => Number.isInteger(value) && Number(value) >= 0))
  throw new RangeError("--hosts, --days, --seed and --processes: expected whole numbers");

const patterns: readonly PatternName[] = ["leak", "step", "burst", "sawtooth", "diurnal"];
const beginMs = Date.UTC(2026, 0, 1);
const dayMs = 86_400_000;
const budgetBytes = 12 * 2 ** 30;

interface Line {
  host: number;
  pattern: PatternName;
  arm: string;
  metrics: Metrics;
}

const modelOf = (host: number) => {
  const pattern = patterns[host % patterns.length] ?? "leak";
  const span = { beginMs, endMs: beginMs + Number(days) * dayMs };
  return { pattern, model: generatedHost(pattern, { seed: Number(seed) + host, budgetBytes, ...span }) };
};

/** A line of JSON for each host and arm of this part. */
async function runPart(part: number, of: number): Promise<void> {
  const arms = await makeArms();
  for (let host = part; host < Number(hosts); host += of) {
    const { pattern, model } = modelOf(host);
    for (const arm of arms) {
      const line: Line = { host, pattern, arm: arm.name, metrics: metricsOf(arm.run(model)) };
      await Bun.write(Bun.stdout, `${JSON.stringify(line)}\n`);
    }
  }
}

async function collect(): Promise<Line[]> {
  const count = Math.max(1, Math.min(Number(processes), Number(hosts)));
  const total = Number(hosts) * armNames.length;
  const lines: Line[] = [];
  const begin = performance.now();
  let shown = begin;
  const take = (text: string) => {
    lines.push(JSON.parse(text));
    if (performance.now() - shown < 10_000) return;
    shown = performance.now();
    const left = ((shown - begin) / lines.length) * (total - lines.length);
    console.error(`${lines.length} of ${total} runs, about ${Math.ceil(left / 60_000)} min left`);
  };
  const parts = Array.from({ length: count }, async (_, part) => {
    const child = Bun.spawn(
      [process.execPath, import.meta.path, ...process.argv.slice(2), "--part", `${part}/${count}`],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const texts = (rest + chunk).split("\n");
      rest = texts.pop() ?? "";
      texts.forEach(take);
    }
    if ((await child.exited) !== 0) throw new Error(`part ${part} failed`);
  });
  await Promise.all(parts);
  console.error(`${total} runs in ${((performance.now() - begin) / 60_000).toFixed(1)} min`);
  return lines.sort((a, b) => a.host - b.host);
}

const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;
const perDay = (lines: readonly Line[], of: (metrics: Metrics) => number): string =>
  mean(lines.map(({ metrics }) => of(metrics) / metrics.days)).toFixed(3);
const available = (lines: readonly Line[]): string =>
  `${(100 * mean(lines.map(({ metrics }) => metrics.weightedAvailability))).toFixed(3)} %`;

/** As if a host at 95 % and over answered nobody: it has no cache left, and waits for its disk. */
const unstalled = (lines: readonly Line[]): string =>
  `${(100 * mean(lines.map(({ metrics }) => metrics.weightedAvailability * (1 - metrics.criticalMinutes / (metrics.days * 1_440))))).toFixed(3)} %`;

function report(lines: readonly Line[]): string {
  const byArm = armNames.map((name) => [name, lines.filter(({ arm }) => arm === name)] as const);
  const best = byArm.at(-1)?.[1] ?? [];
  const rows = byArm.map(([name, of]) => {
    const gains = best.map(
      ({ metrics }, i) => metrics.weightedAvailability - (of[i]?.metrics.weightedAvailability ?? 0),
    );
    const { mean: gain, lower, upper } = bootstrapMean(gains, Number(seed));
    const points = (value: number) => (100 * value).toFixed(3);
    return [
      name,
      available(of),
      unstalled(of),
      perDay(of, (metrics) => metrics.oomKills),
      perDay(of, (metrics) => metrics.oomMinutes),
      perDay(of, (metrics) => metrics.criticalMinutes),
      perDay(of, (metrics) => metrics.sheds),
      perDay(of, (metrics) => metrics.flaps),
      of === best ? "" : `${points(gain)} (${points(lower)} to ${points(upper)})`,
    ];
  });
  const heading = [
    "A DAY",
    "AVAILABLE",
    "BELOW 95 %",
    "KERNEL KILLS",
    "OOM MIN",
    "MIN AT 95 %",
    "SHEDS",
    "FLAPS",
    "LAST ARM'S GAIN (95 %)",
  ];
  const patternRows = byArm.map(([name, of]) => [
    name,
    ...patterns.map((pattern) => available(of.filter((line) => line.pattern === pattern))),
  ]);
  return [
    `${hosts} hosts × ${days} days, seeds from ${seed}; availability weighted by priority 8/4/2/1, ready time of each plugin`,
    "",
    table([heading, ...rows]),
    "",
    table([["AVAILABLE", ...patterns], ...patternRows]),
  ].join("\n");
}

if (values.part !== undefined) {
  const [part = 0, of = 1] = values.part.split("/").map(Number);
  await runPart(part, of);
} else {
  const lines = await collect();
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(lines, null, 1));
  console.log(report(lines));
}
