/** A plugin that could stream 1 GB to clients that hardly read: the conductor's memory stays where it was. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { postHead } from "../http/raw-socket.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();

const source = `
import { definePlugin } from "conductor/plugin";
let made = 0, ended = 0;
const chunk = "x".repeat(65_000);
export default definePlugin({
  handleRequest(request) {
    if (request.type === "state") return { made, ended };
    return (async function* () {
      try { for (let n = 0; n < 16_000; n++) { made++; yield chunk; } } finally { ended++; }
    })();
  },
});`;

const manifest = "name: tap\nversion: 1.0.0\nentry: index.ts\nstart: eager\nlimits: { concurrency: 16 }\n";

/** Private and shared memory of a process, MiB. */
const pssMiB = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? Number.NaN) / 1024;

const body = JSON.stringify({ platform: "tap", payload: null });

function client(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  defer(() => socket.destroy());
  socket.write(postHead(port, "/api/v1/requests", body.length) + body);
  return new Promise((resolve, reject) => {
    socket.once("data", () => {
      socket.pause();
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

test("eight clients that do not read stop the plugin, and cost the conductor a few MB; a ninth gets all it wants", async () => {
  const conductor = await RunningConductor.start({
    config: `budget: { memory: ${roomyBudget()} }\nplugins: { dirs: [plugins], bundled: false }\n`,
    files: { "plugins/tap/plugin.yaml": manifest, "plugins/tap/index.ts": source },
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const port = Number(conductor.port);
  const state = async () =>
    (await conductor.request("tap", null, "state")).body.result as { made: number; ended: number };

  // Once through, so that the code and its buffers are there before memory is compared.
  const warm = await client(port);
  warm.destroy();
  await until("the first is cancelled", 10_000, async () => (await state()).ended === 1);
  const before = pssMiB(conductor.pid);

  const stuck = await Promise.all(Array.from({ length: 8 }, () => client(port)));
  let last = -1;
  await until("the plugin stands still", 20_000, async () => {
    const { made } = await state();
    const still = made === last;
    last = made;
    await Bun.sleep(300);
    return still;
  });
  // Eight times 1 GB was asked for: 128,000 chunks.
  expect(last).toBeLessThan(2_000);
  expect(pssMiB(conductor.pid) - before).toBeLessThan(40);

  const reader = await client(port);
  let gotBytes = 0;
  reader.on("data", (chunk) => {
    gotBytes += chunk.length;
  });
  reader.resume();
  await until("the ninth has 100 MB", 30_000, () => gotBytes > 100 * 2 ** 20);
  expect(pssMiB(conductor.pid) - before).toBeLessThan(60);

  for (const socket of [...stuck, reader]) socket.destroy();
  await until("all of them are cancelled", 10_000, async () => (await state()).ended === 10);
  expect(await conductor.terminate()).toBe(0);
}, 90_000);

test("a stream that goes on when the conductor is told to end is cut, and the exit is clean and in time", async () => {
  const conductor = await RunningConductor.start({
    config: `budget: { memory: ${roomyBudget()} }\nplugins: { dirs: [plugins], bundled: false }\n`,
    files: { "plugins/tap/plugin.yaml": manifest, "plugins/tap/index.ts": source },
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const socket = await client(Number(conductor.port));
  const cut = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  const began = performance.now();
  // It reads nothing, so the stream can never have ended by itself.
  const code = await conductor.terminate();
  expect(code).toBe(0);
  expect(performance.now() - began).toBeLessThan(10_000);
  socket.resume();
  await cut;
}, 60_000);
