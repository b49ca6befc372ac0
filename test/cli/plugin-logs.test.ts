/** plugins logs: once, followed, and what happens when either side ends. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";
import { roomyBudget } from "../e2e/thresholds.ts";
import { following } from "./following.ts";

setDefaultTimeout(20_000);

/** Logs each request's payload on stderr; "stop" ends it. */
const script = `
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "handle_request":
        text = m["params"]["request"]["payload"]
        if text == "stop": sys.exit(3)
        print(text, file=sys.stderr, flush=True)
    if "id" in m: print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {"status": "healthy"}}), flush=True)
`;

const files = {
  "plugins/teller/plugin.yaml":
    "name: teller\nversion: 1.0.0\nruntime: exec\ncommand: [python3, main.py]\nrecovery: { backoff: { initial: 1ms } }\n",
  "plugins/teller/main.py": script,
  "plugins/silent/plugin.yaml":
    "name: silent\nversion: 1.0.0\nruntime: exec\ncommand: [sleep, '300']\nprotocol: none\n",
};

let running: RunningConductor;

const start = () => RunningConductor.start({ files, config: `budget: { memory: ${roomyBudget()} }\n` });

beforeAll(async () => {
  running = await start();
});

afterAll(async () => {
  await running.terminate();
  running.remove();
});

const say = async (text: string, to = running) => (await to.request("teller", text)).status;
const ask = (...args: string[]) =>
  conductor(["plugins", "logs", ...args, "--port", running.port], { cwd: running.folder });

/** The command with -f. */
const follow = (port: string, ...args: string[]) =>
  following(["plugins", "logs", "teller", "-f", "--port", port, ...args], running.folder);

test("prints time, stream and line, the newest last, and keeps them over a restart of the plugin", async () => {
  for (const text of ["one", "two \u001b[31mred\u001b[0m", "three"]) await say(text);
  const before = (await running.plugin("teller")).pids;
  await say("stop");
  await until("it runs again", 10_000, async () => {
    const { pids, state } = await running.plugin("teller");
    return state === "ready" && pids[0] !== before[0];
  });
  await say("four");
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
  await until("the last line is there", 5_000, async () => (await ask("teller")).out.includes("four"));
  const { code, out, err } = await ask("teller");
  expect([code, err]).toEqual([0, ""]);
  const rows = out
    .trimEnd()
    .split("\n")
    .map((row) => row.split(" "));
  expect(rows.every(([at = ""]) => time.test(at))).toBe(true);
  expect(rows.map(([, ...rest]) => rest.join(" "))).toEqual([
    "stderr one",
    "stderr two \\u001b[31mred\\u001b[0m",
    "stderr three",
    "stderr four",
  ]);
  expect((await ask("teller", "-n", "1")).out).toMatch(/^\S+ stderr four\n$/);
  expect(await ask("silent")).toMatchObject({ code: 0, out: "", err: "" });
  expect(JSON.parse((await ask("teller", "-n", "2", "-o", "json")).out)).toEqual({
    logs: [
      { seq: 3, at: expect.stringMatching(time), stream: "stderr", line: "three" },
      { seq: 4, at: expect.stringMatching(time), stream: "stderr", line: "four" },
    ],
    dropped: 0,
  });
});

test("-f goes on until Ctrl-C, which is fine", async () => {
  const { child, seen } = follow(running.port, "-n", "0");
  await until("it follows", 10_000, async () => {
    await say("a line for the follower");
    return seen.out.includes(" stderr a line for the follower\n");
  });
  child.kill("SIGINT");
  expect([await child.exited, await seen.err]).toEqual([0, ""]);
  const { child: second, seen: json } = follow(running.port, "-n", "1", "-o", "json");
  await until("the last line came", 10_000, () => json.out.endsWith("}\n"));
  expect(JSON.parse(json.out)).toMatchObject({ stream: "stderr", line: "a line for the follower" });
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
});

test("-f says that the conductor ended, and ends with 1", async () => {
  const other = await start();
  try {
    const { child, seen } = follow(other.port);
    await until("it follows", 10_000, async () => {
      await say("still here", other);
      return seen.out.includes("still here");
    });
    expect(await other.terminate()).toBe(0);
    expect(await child.exited).toBe(1);
    expect(await seen.err).toBe(
      "conductor: the conductor ended, or closed the connection; start it again to go on\n",
    );
  } finally {
    other.remove();
  }
});

test.each([
  [["teller", "-n", "1001"], 2, "--lines: 1001: expected a whole number from 0 to 1000"],
  [["teller", "-n", "few"], 2, "--lines: few: expected a whole number from 0 to 1000"],
  [[], 2, "logs: expected the name of a plugin"],
  [["fax"], 1, "There is no such plugin: fax: no such plugin; /api/v1/plugins lists them"],
  [["fax", "-f"], 1, "There is no such plugin: fax: no such plugin; /api/v1/plugins lists them"],
])("%j fails with %d", async (args, code, line) => {
  expect(await ask(...args)).toMatchObject({ code, err: `conductor: ${line}\n`, out: "" });
});
