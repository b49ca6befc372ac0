/**
 * The compiled conductor under load, on loopback. First at a fixed pace, open loop: POST /api/v1/requests to a plugin that
 * answers at once, beside the same answer from a server that is asked directly. Then, with wrk, as many as 64
 * connections get through, and ten times as many connections for LOAD_SECONDS (default 60). Client, conductor
 * and plugin share the processors. Exits with 1 when the conductor ended, a connection broke, or a refusal was anything
 * but 429 or 503 with Retry-After.
 *
 *   bun test/bench/load.ts [--seconds 5] [--throughput] [-o json]
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type LoopAnswer, OpenLoop, postText } from "../e2e/open-loop.ts";
import { alive, RunningConductor } from "../e2e/running-conductor.ts";
import { roomyBudget } from "../e2e/thresholds.ts";
import { type WrkResult, wrk } from "./load/wrk.ts";

const rates = [1_000, 10_000];
/** Of the fixed pace; what is due and finds none free waits, and its time counts. */
const mostConnections = 256;
const usualConnections = 64;
const overload = 10;
const path = "/api/v1/requests";
const request = { platform: "bot", type: "message", payload: { text: "hello", tags: ["a", "b"] } };

const files = {
  "plugins/bot/plugin.yaml": "name: bot\nversion: 1.0.0\nruntime: bun\nentry: index.ts\nstart: eager\n",
  "plugins/bot/index.ts": `
import { definePlugin } from "conductor/plugin";
export default definePlugin({
  initialize() {},
  healthCheck: () => ({ status: "healthy" }),
  handleRequest: ({ payload }) => payload,
  shutdown() {},
});`,
};

interface Paced {
  perSecond: number;
  server: "direct" | "conductor";
  requests: number;
  /** By status; 0: no answer. */
  statuses: Record<string, number>;
  /** Answers of 200 a second, until the last one came. */
  goodputPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

interface Report {
  paced: Paced[];
  sustained: WrkResult;
  overloaded: WrkResult;
  overloadSeconds: number;
  pssMiB: { before: number; max: number; after: number };
  wrong: string[];
}

function pssMiB(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

async function paced(
  server: Paced["server"],
  port: number,
  perSecond: number,
  seconds: number,
): Promise<Paced> {
  const text = postText(port, path, request);
  const loop = new OpenLoop({ port, perSecond, mostConnections, text: () => text });
  loop.start();
  await Bun.sleep(seconds * 1_000);
  const answers = await loop.stop();
  const answered = answers.filter(({ status }) => status === 200);
  return { server, perSecond, ...summary(answers, answered) };
}

function summary(answers: readonly LoopAnswer[], answered: readonly LoopAnswer[]) {
  const sorted = answered.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  const endMs = answered.reduce((latest, { dueMs, latencyMs }) => Math.max(latest, dueMs + latencyMs), 0);
  const tookMs = endMs - (answers[0]?.dueMs ?? Number.NaN);
  const groups = Object.entries(Object.groupBy(answers, ({ status }) => String(status)));
  return {
    requests: answers.length,
    statuses: Object.fromEntries(groups.map(([status, of]) => [status, of?.length ?? 0])),
    goodputPerSecond: (answered.length * 1_000) / tookMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** The same answer over HTTP, without a conductor. */
async function startDirect() {
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", join(import.meta.dir, "load/echo-server-process.ts")],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  const stop = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { port, stop };
}

async function atPace(conductorPort: number, seconds: number): Promise<Paced[]> {
  const direct = await startDirect();
  try {
    const done: Paced[] = [];
    const ports = { direct: direct.port, conductor: conductorPort };
    // The first second of each is not counted: code that has not run yet is compiled.
    for (const server of ["direct", "conductor"] as const) await paced(server, ports[server], 500, 1);
    for (const rate of rates)
      for (const server of ["direct", "conductor"] as const)
        done.push(await paced(server, ports[server], rate, seconds));
    return done;
  } finally {
    await direct.stop();
  }
}

/** What of it is no proper answer and no proper refusal. */
function complaints(what: string, result: WrkResult): string[] {
  const { withoutRetryAfter, other, otherStatus, connectErrors, brokenConnections, lateAnswers } = result;
  const counts: Record<string, number> = {
    "refusals without Retry-After": withoutRetryAfter,
    [`answers of another status, such as ${otherStatus}`]: other,
    "connections that were not taken": connectErrors,
    "connections that broke": brokenConnections,
    "answers later than 10 s": lateAnswers,
  };
  return Object.entries(counts).flatMap(([name, count]) => (count > 0 ? [`${what}: ${count} ${name}`] : []));
}

async function overloaded(conductor: RunningConductor, seconds: number) {
  const { pid } = conductor;
  const before = pssMiB(pid);
  let max = before;
  const sampling = setInterval(() => {
    max = Math.max(max, pssMiB(pid));
  }, 1_000);
  try {
    const result = await wrk(conductor.url(path), JSON.stringify(request), {
      connections: usualConnections * overload,
      seconds,
    });
    return { result, pssMiB: { before, max, after: pssMiB(pid) } };
  } finally {
    clearInterval(sampling);
  }
}

async function measure(seconds: number, overloadSeconds: number, throughput: boolean): Promise<Report> {
  const conductor = await RunningConductor.start({
    args: throughput ? ["--throughput"] : [],
    config: `budget: { memory: ${roomyBudget()} }\nplugins: { dirs: [plugins], bundled: false }\n`,
    files,
  });
  try {
    const pacedRuns = await atPace(Number(conductor.port), seconds);
    const body = JSON.stringify(request);
    const usual = { connections: usualConnections, seconds };
    const sustained = await wrk(conductor.url(path), body, usual);
    const { result, pssMiB: pss } = await overloaded(conductor, overloadSeconds);
    const wrong = [...complaints("64 connections", sustained), ...complaints("overload", result)];
    if (!(await alive(conductor.pid))) wrong.push("the conductor ended");
    else if ((await conductor.request("bot", 1)).status !== 200)
      wrong.push("no answer to a request afterwards");
    return { paced: pacedRuns, sustained, overloaded: result, overloadSeconds, pssMiB: pss, wrong };
  } finally {
    await conductor.terminate();
    conductor.remove();
  }
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const whole = (value: number): string => Math.round(value).toLocaleString("en");

function printPaced(runs: readonly Paced[]): void {
  for (const { server, perSecond, requests, statuses, goodputPerSecond, p50Ms, p99Ms } of runs) {
    const told = Object.entries(statuses).map(([status, count]) => `${count} of ${status}`);
    console.log(
      `${whole(perSecond)}/s, ${server.padEnd(9)}: p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}; ${whole(goodputPerSecond)}/s answered; ${requests} sent: ${told.join(", ")}`,
    );
  }
  for (const rate of rates) {
    const [direct, through] = runs.filter(({ perSecond }) => perSecond === rate);
    if (direct && through)
      console.log(
        `${whole(rate)}/s, conductor's part: p50 ${ms(through.p50Ms - direct.p50Ms)}, p99 ${ms(through.p99Ms - direct.p99Ms)}`,
      );
  }
}

function printWrk(what: string, result: WrkResult): void {
  const { answered, seconds, p50Ms, p99Ms, maxMs, refused429, refused503 } = result;
  console.log(
    `${what}: ${whole(answered / seconds)}/s answered, ${refused429} refused with 429 and ${refused503} with 503 (${whole((refused429 + refused503) / seconds)}/s); p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, max ${ms(maxMs)}`,
  );
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    throughput: { type: "boolean", default: false },
    output: { type: "string", short: "o" },
  },
});
const report = await measure(
  Number(values.seconds),
  Number(process.env.LOAD_SECONDS ?? 60),
  values.throughput,
);
if (values.output === "json") console.log(JSON.stringify(report));
else {
  printPaced(report.paced);
  printWrk(`${usualConnections} connections, closed loop`, report.sustained);
  printWrk(`${usualConnections * overload} connections, ${report.overloadSeconds} s`, report.overloaded);
  const { before, max, after } = report.pssMiB;
  console.log(
    `conductor's PSS: ${before.toFixed(1)} MiB before, at most ${max.toFixed(1)}, ${after.toFixed(1)} after`,
  );
  console.log(
    report.wrong.length > 0
      ? report.wrong.join("\n")
      : "nothing crashed, no connection broke, every refusal said when to come again",
  );
}
if (report.wrong.length > 0) process.exit(1);
