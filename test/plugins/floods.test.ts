/** A plugin that floods its pipes: the conductor's own memory, measured in a process of its own, stays bounded. */

import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { execPlugin, pluginFolder, rogue, selfFromSource } from "./harness.ts";

interface Said {
  answer: { ok: boolean; kind?: string };
  atReady: number;
  peakRssBytes: number;
  output: { droppedBytes: number; garbageMessages: number };
}

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function flood(type: string): Promise<Said> {
  const root = pluginFolder({ bot: execPlugin("bot", rogue()) });
  folders.push(root);
  const options = { dirs: [root], runId: `flood-${process.pid}-${type.length}`, cgroups: false };
  const child = Bun.spawn([...selfFromSource, "manage", JSON.stringify(options)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  await lines.next();
  child.stdin.write(`bot ${type}\n`);
  await child.stdin.flush();
  const said = JSON.parse((await lines.next()).value ?? "null") as Said;
  child.stdin.write("stop\n");
  await child.stdin.flush();
  await child.exited;
  return said;
}

const growthLimitBytes = 60 * 2 ** 20;

test.each([
  ["200 MB without a newline", "flood", 200],
  ["200 MB of short lines", "flood-lines", 190],
  ["50 MB of answers to nothing", "flood-json", 40],
  ["200 MB on stderr, with and without newlines", "flood-stderr", 190],
])(
  "%s are dropped, counted, and answered after",
  async (_, type, atLeastMiB) => {
    const { answer, atReady, peakRssBytes, output } = await flood(type);
    expect(answer.ok).toBe(true);
    expect(peakRssBytes - atReady).toBeLessThan(growthLimitBytes);
    expect(output.droppedBytes).toBeGreaterThanOrEqual(atLeastMiB * 2 ** 20);
  },
  40_000,
);
