/** Conductor comes before its plugins at the processors, and they are left as anybody's. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;

const plugin = (name: string, more: string) =>
  `name: ${name}\nversion: 1.0.0\nruntime: exec\nprotocol: none\ncommand: ["sleep", "1000000"]\nstart: eager\nhealth: { kind: none }\n${more}`;

/** The niceness of each thread, once each. */
const nicenessOf = (pid: number): number[] => {
  const of = (thread: string) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
  };
  return [...new Set(readdirSync(`/proc/${pid}/task`).map(of))];
};

async function start(wrap?: (command: string[]) => string[]) {
  const conductor = await RunningConductor.start({
    config: "plugins: { dirs: [plugins], bundled: false }\n",
    files: { "plugins/bot/plugin.yaml": plugin("bot", "") },
    ...(wrap ? { wrap } : {}),
  });
  defer(() => conductor.remove());
  defer(async () => void (await conductor.terminate()));
  const [pid = 0] = (await conductor.plugin("bot")).pids;
  return { own: nicenessOf(conductor.pid), plugin: nicenessOf(pid) };
}

test.skipIf(!isRoot)("every thread of it comes before others, and no plugin does", async () => {
  expect(await start()).toEqual({ own: [-10], plugin: [0] });
});

test("a niceness that somebody chose is kept, and shared", async () => {
  expect(await start((command) => ["nice", "-n", "5", ...command])).toEqual({ own: [5], plugin: [5] });
});

test.skipIf(!isRoot)("without the right to it, it runs as anybody's", async () => {
  const own = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-all", "--"];
  expect(await start((command) => [...own, ...command])).toEqual({ own: [0], plugin: [0] });
});
