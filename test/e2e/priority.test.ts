/** Conductor comes before its plugins at the processors, they are left as anybody's, and who keeps it from its turn is told. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;
/** Over the second by which a calm host is read late at most, and the one from which that is told. */
const stoppedMs = 2_500;

const bot = `name: bot\nversion: 1.0.0\nruntime: exec\nprotocol: none\ncommand: ["sleep", "1000000"]\nstart: eager\nhealth: { kind: none }\n`;

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
    files: { "plugins/bot/plugin.yaml": bot },
    ...(wrap ? { wrap } : {}),
  });
  defer(() => conductor.remove());
  defer(async () => void (await conductor.terminate()));
  return conductor;
}

async function nicenessUnder(wrap?: (command: string[]) => string[]) {
  const conductor = await start(wrap);
  const [pid = 0] = (await conductor.plugin("bot")).pids;
  return { own: nicenessOf(conductor.pid), plugin: nicenessOf(pid) };
}

test.skipIf(!isRoot)("every thread of it comes before others, and no plugin does", async () => {
  expect(await nicenessUnder()).toEqual({ own: [-10], plugin: [0] });
});

test("a niceness that somebody chose is kept, and shared", async () => {
  expect(await nicenessUnder((command) => ["nice", "-n", "5", ...command])).toEqual({
    own: [5],
    plugin: [5],
  });
});

test.skipIf(!isRoot)("without the right to it, it runs as anybody's", async () => {
  const own = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-all", "--"];
  expect(await nicenessUnder((command) => [...own, ...command])).toEqual({ own: [0], plugin: [0] });
});

test("a reading of memory that came seconds late is logged, and one in time is not", async () => {
  const conductor = await start();
  const late = () => conductor.lines.filter((line) => line.includes('"monitor.late"'));
  expect(late()).toEqual([]);
  process.kill(conductor.pid, "SIGSTOP");
  await Bun.sleep(stoppedMs);
  process.kill(conductor.pid, "SIGCONT");
  const [line = ""] = await until("it is told", 10_000, () => (late().length > 0 ? late() : null));
  // It was due up to a second into the stop.
  const { lateMs } = JSON.parse(line) as { lateMs: number };
  expect(lateMs).toBeGreaterThanOrEqual(stoppedMs - 1_100);
});
