/**
 * A program that holds as much memory as it is told, a line at a time on stdin, and answers with a line of JSON:
 *
 *   grow MIB     touches that much more memory; answers null
 *   read         what a MemoryMeter reads inside of it
 *   child        starts another one of itself in a session of its own, which ends with it; answers its pid
 *   orphan       starts a shell in its own session that leaves a process behind; answers that one's pid
 *
 * It ends when stdin does.
 */

import { MemoryMeter } from "../../src/monitor/budget.ts";

const meter = new MemoryMeter(null);
const held: Buffer[] = [];
const children: Bun.Subprocess<"pipe", "pipe", "inherit">[] = [];

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.slice(0, text.indexOf("\n"));
}

function grow(mib: number): null {
  for (let i = 0; i < mib; i++) held.push(Buffer.alloc(2 ** 20, 1));
  return null;
}

async function child(): Promise<number> {
  const started = Bun.spawn([process.execPath, import.meta.path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    detached: true,
  });
  children.push(started);
  started.stdin.write("grow 0\n");
  await started.stdin.flush();
  await firstLine(started.stdout);
  return started.pid;
}

/** The shell ends at once: what it started becomes somebody else's child, in the session that it was started in. */
async function orphan(): Promise<number> {
  const shell = Bun.spawn(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], { stdout: "pipe" });
  const pid = Number(await new Response(shell.stdout).text());
  await shell.exited;
  return pid;
}

async function answer(line: string): Promise<unknown> {
  const [command, argument] = line.split(" ");
  if (command === "grow") return grow(Number(argument));
  if (command === "read") return meter.read();
  if (command === "child") return child();
  if (command === "orphan") return orphan();
  throw new Error(`unknown command: ${line}`);
}

for await (const line of console) {
  if (line === "") continue; // The end of the input comes as one.
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
process.exit(0);
