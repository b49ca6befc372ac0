/** A model server that the compiled conductor starts itself: supervised as plugins are, ended with conductor. */

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listProcesses, readProcess } from "../../src/plugins/proc-table.ts";
import { RunningConductor, root, until } from "./running-conductor.ts";

setDefaultTimeout(90_000);

const server = join(root, "test/models/model-server-process.ts");
let running: RunningConductor | null = null;
afterEach(async () => {
  await running?.kill();
  running?.remove();
  running = null;
});

const start = async (...args: string[]): Promise<RunningConductor> => {
  const command = JSON.stringify([process.execPath, server, "--port={port}", ...args]);
  running = await RunningConductor.start({
    config: `ladder: { settle: 100ms, putOff: { initial: 200ms, max: 1s } }
plugins: { bundled: true }
models:
  - { name: served, engine: command, memory: 64MiB, context: 4096, command: ${command}, environment: { MARK: "at {port}" } }
`,
  });
  return running;
};

/** Processes with `text` in their environment. */
const marked = (text: string): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(text);
      } catch {
        return false; // It ended meanwhile, or is another user's.
      }
    });

const ask = (conductor: RunningConductor) =>
  conductor.post("/v1/chat/completions", {
    model: "served",
    max_tokens: 8,
    messages: [{ role: "user", content: "hello" }],
  });

interface Status {
  models: { state: string }[];
}

test("it answers, the kernel takes it before a plugin, and it ends with conductor however that ends", async () => {
  const conductor = await start("--child");
  await until("it is ready", 40_000, async () => {
    const { models } = await conductor.get<Status>("/api/v1/scaling/status");
    return models[0]?.state === "ready";
  });
  const answer = await ask(conductor);
  expect([answer.status, answer.headers.get("X-Conductor-Model")]).toEqual([200, "served"]);
  expect(Object.keys(await conductor.states())).not.toContain("model-served");
  const pids = marked("MARK=at ");
  expect(pids.length).toBeGreaterThanOrEqual(2);
  const scores = pids.map((pid) => Number(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8")));
  expect(new Set(scores)).toEqual(new Set([1_000]));
  await conductor.kill();
  await until("none of it is left", 20_000, () => pids.every((pid) => readProcess(pid) === null));
});

test("one that ends at once is refused with its last words, and is tried again", async () => {
  const conductor = await start("--crash=start");
  await until("it failed twice", 60_000, () => conductor.logged("model.load-failed").length >= 2);
  expect(conductor.logged("model.load-failed")[0]).toMatchObject({
    model: "served",
    code: "crashed",
    message: expect.stringContaining("no space left for the tensors"),
  });
  expect((await ask(conductor)).status).toBe(503);
  expect(marked("MARK=at ")).toEqual([]);
  expect(await conductor.terminate()).toBe(0);
});
