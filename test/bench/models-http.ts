/**
 * What conductor adds to each token of a local model that is asked over HTTP: the same model server asked directly, through
 * conductor, and through a proxy that only passes bytes on, each a process of its own. Wall time where tokens come as fast as they are taken; CPU time of what
 * stands between, also where each token comes alone. Medians over rounds that take turns.
 *
 *   bun test/bench/models-http.ts [-o json]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const aimUs = 50;
const rounds = 7;
const fast = { tokens: 20_000, pauseMs: 0 };
const paced = { tokens: 1_000, pauseMs: 1 };
/** Of the times in /proc, on every Linux that Bun runs on. */
const ticksPerSecond = 100;

interface Server {
  port: number;
  child: Bun.Subprocess;
}

async function start(...args: string[]): Promise<Server> {
  const program = `${import.meta.dir}/../http/benched-models-process.ts`;
  const child = Bun.spawn([process.execPath, program, ...args], { stdout: "pipe", stderr: "inherit" });
  for await (const text of child.stdout) {
    const { port } = JSON.parse(new TextDecoder().decode(text)) as { port: number };
    return { port, child };
  }
  throw new Error(`${args.join(" ")} ended before it listened`);
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** User and system time of a process so far. */
function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond;
}

/** Microseconds for each token of one streamed chat. */
async function perTokenUs(port: number, { tokens, pauseMs }: typeof fast): Promise<number> {
  const began = Bun.nanoseconds();
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      model: "words",
      messages: [{ role: "user", content: "hello" }],
      max_tokens: tokens,
      seed: pauseMs,
      stream: true,
    }),
  });
  let text = "";
  let seen = 0;
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    const parts = text.split('"content":" word"');
    seen += parts.length - 1;
    text = parts.at(-1) ?? "";
  }
  if (seen !== tokens || !text.includes("[DONE]"))
    throw new Error(`${seen} of ${tokens} tokens came: ${text}`);
  return (Bun.nanoseconds() - began) / 1_000 / tokens;
}

const words = await start("words");
const bare = await start("bare", String(words.port));
const conductor = await start("conductor", String(words.port));
const direct: number[] = [];
const through: number[] = [];
const fastCpu: number[] = [];
const pacedCpu: number[] = [];
const bareCpu: number[] = [];
const barePacedCpu: number[] = [];

async function withCpu({ port, child }: Server, kind: typeof fast, cpu: number[]): Promise<number> {
  const before = cpuUs(child.pid);
  const us = await perTokenUs(port, kind);
  cpu.push((cpuUs(child.pid) - before) / kind.tokens);
  return us;
}

await perTokenUs(words.port, fast);
await perTokenUs(conductor.port, fast);
for (let round = 0; round < rounds; round++) {
  direct.push(await perTokenUs(words.port, fast));
  through.push(await withCpu(conductor, fast, fastCpu));
  await withCpu(conductor, paced, pacedCpu);
  await withCpu(bare, fast, bareCpu);
  await withCpu(bare, paced, barePacedCpu);
}
for (const { child } of [conductor, bare, words]) {
  child.kill();
  await child.exited;
}

const result = {
  aimUs,
  directUs: median(direct),
  throughUs: median(through),
  addedUs: median(through.map((each, round) => each - (direct[round] ?? Number.NaN))),
  ratio: median(through) / median(direct),
  cpuUs: median(fastCpu),
  bareCpuUs: median(bareCpu),
  pacedCpuUs: median(pacedCpu),
  barePacedCpuUs: median(barePacedCpu),
};
const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
if (values.output === "json") console.log(JSON.stringify(result));
else
  console.log(
    [
      `directly                              ${result.directUs.toFixed(1).padStart(7)} µs/token`,
      `through conductor                     ${result.throughUs.toFixed(1).padStart(7)} µs/token (${result.ratio.toFixed(2)} times)`,
      `added, wall time                      ${result.addedUs.toFixed(1).padStart(7)} µs/token (aim < ${aimUs})`,
      `conductor's CPU, as fast as they come ${result.cpuUs.toFixed(1).padStart(7)} µs/token (a bare proxy ${result.bareCpuUs.toFixed(1)})`,
      `conductor's CPU, 1 ms apart           ${result.pacedCpuUs.toFixed(1).padStart(7)} µs/token (a bare proxy ${result.barePacedCpuUs.toFixed(1)})`,
    ].join("\n"),
  );
