/** `conductor events` and a webhook against a running conductor, over its restart too. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventLine } from "../../src/cli/events.ts";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";
import { roomyBudget } from "../e2e/thresholds.ts";
import { receiver } from "../webhooks/receiver.ts";
import { following } from "./following.ts";

setDefaultTimeout(30_000);

/** Tells on request what it was told. */
const script = `
import json, sys
told = []
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "event": told.append(m["params"]["name"])
    if "id" not in m: continue
    result = told if m["method"] == "handle_request" else {"status": "healthy"}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
`;

const files = {
  "plugins/listener/plugin.yaml":
    'name: listener\nversion: 1.0.0\nruntime: exec\ncommand: [python3, main.py]\nevents: ["plugin.*"]\n',
  "plugins/listener/main.py": script,
  "plugins/module/plugin.yaml": "name: module\nversion: 1.0.0\nruntime: bun\n",
  "plugins/module/index.ts": `import { definePlugin } from "conductor/plugin";
    const told: string[] = [];
    export default definePlugin({
      events: ["plugin.state"],
      handleEvent: ({ data }) => void told.push(data.plugin + " " + data.to + " " + ("reason" in data)),
      handleRequest: async () => told,
    });`,
  "plugins/other/plugin.yaml":
    "name: other\nversion: 1.0.0\nruntime: exec\ncommand: [sleep, '300']\nprotocol: none\n",
};

const to = receiver(() => new Response(null, { status: 204 }));
const config = `
budget: { memory: ${roomyBudget()} }
webhooks:
  - { name: ops, url: "${to.url}", events: [plugin.state], secret: OPS_KEY }
`;
const environment = { OPS_KEY: "the key of this test" };
let running: RunningConductor;

beforeAll(async () => {
  running = await RunningConductor.start({ files, config, environment });
});

afterAll(async () => {
  await running.terminate();
  running.remove();
  await to.end();
});

const ask = (...args: string[]) =>
  conductor(["events", ...args, "--port", running.port], { cwd: running.folder });

const follow = (...args: string[]) => following(["events", "--port", running.port, ...args], running.folder);

const restartOther = () =>
  conductor(["plugins", "restart", "other", "--port", running.port], {
    cwd: running.folder,
    environment: { STATE_DIRECTORY: `${running.folder}/state` },
  });

test("shows what happens, aligned, until Ctrl-C, and so do a plugin and a webhook that want to be told", async () => {
  const { child, seen } = follow("plugin.state", "-n", "0");
  await until("it follows", 15_000, async () => {
    expect((await restartOther()).code).toBe(0);
    // It may have begun to follow in the middle of a restart.
    return /other +from=ready to=draining.*other +from=\S+ to=ready/s.test(seen.out);
  });
  child.kill("SIGINT");
  expect([await child.exited, await seen.err]).toEqual([0, ""]);
  expect(seen.out).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z plugin\.state {8}other {8}from=ready to=draining reason="[^"]+"$/m,
  );
  await until("the webhook was posted to", 5_000, () =>
    to.received.some(({ event }) => event.data.plugin === "other" && event.data.to === "ready"),
  );
  expect(to.received.every(({ headers }) => headers.has("conductor-signature"))).toBe(true);
  expect(to.received.map(({ event }) => event.data.plugin)).toContain("listener");
  const answer = JSON.stringify((await running.request("listener", null)).body);
  expect(answer).toContain("plugin.state");
  const told = JSON.stringify((await running.request("module", null)).body);
  expect(told).toContain("other ready false");
  expect(told).toContain("module ready true");
  const [hook] = (await running.get("/api/v1/webhooks")).webhooks as { origin: string; signed: boolean }[];
  expect(hook).toMatchObject({ name: "ops", origin: to.origin, signed: true, undelivered: 0 });
  const metrics = await (await fetch(running.url("/metrics"))).text();
  expect(metrics).toMatch(/^conductor_events_total\{event="plugin\.state"\} \d+$/m);
  expect(metrics).toMatch(/^conductor_webhook_deliveries_total\{outcome="delivered"\} \d+$/m);
});

test("goes on after an id, and after a restart of the conductor says that more is lost", async () => {
  const { child, seen } = follow("-o", "json", "-n", "1000");
  await until("there are events", 10_000, () => seen.out.split("\n").length > 5);
  const first = JSON.parse(seen.out.split("\n")[0] ?? "") as { id: string };
  expect(await running.terminate()).toBe(0);
  expect(await child.exited).toBe(1);
  const text = await seen.err;
  expect(text).toMatch(
    /^conductor: the conductor ended, or closed the connection; go on with --since \w+-\d+\n$/,
  );
  const folder = running.folder;
  running = await RunningConductor.start({ folder, files, config, environment });
  const since = /--since (\S+)/.exec(text)?.[1] ?? "";
  const { child: second, seen: again } = follow("-o", "json", "--since", since);
  await until("all that is kept came", 10_000, () => again.out.includes('"to":"ready"'));
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
  expect(await again.err).toBe(
    "conductor: conductor was started anew: what came before is lost, and 0 events are not kept any more\n",
  );
  const ids = again.out
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids[0]).toMatch(/-1$/);
  expect(ids[0]?.split("-")[0]).not.toBe(first.id.split("-")[0]);
});

test.each([
  [["helth.*"], 1, 'no event matches "helth.*"; did you mean "health.*"?'],
  [["--since", "17"], 1, "expected the id of an event, such as 1f3a9c02-17"],
  [["-n", "1001"], 2, "--last: 1001: expected a whole number from 0 to 1000"],
  [["-n", "1", "--since", "a-1"], 2, "--last: not with --since, which says where to begin"],
])("%j fails with %d", async (args, code, line) => {
  const ended = await ask(...args);
  expect([ended.code, ended.out]).toEqual([code, ""]);
  expect(ended.err).toContain(line);
});

test("without its key in the environment it does not start, and check warns", async () => {
  const cwd = running.folder;
  const checked = await conductor(["check"], { cwd });
  const problem = "ops: secret: the environment variable OPS_KEY is not set; set it, or leave secret out";
  expect([checked.code, checked.err]).toEqual([0, expect.stringContaining(`warning: webhooks: ${problem}`)]);
  const served = await conductor(["serve", "--port", "0"], {
    cwd,
    environment: { STATE_DIRECTORY: `${cwd}/other` },
  });
  expect([served.code, served.problems]).toEqual([1, [`conductor: webhooks: ${problem}`]]);
});

test("a line writes out what a terminal would take as a command", () => {
  const data = {
    plugin: "bot",
    reason: "it said \u001b[31mred\u001b[0m\nand more",
    exitCode: null,
    to: "failed",
  };
  expect(eventLine({ id: "a-1", name: "plugin.state", at: "T", data })).toBe(
    'T plugin.state        bot          reason="it said \\u001b[31mred\\u001b[0m\\nand more" exitCode=null to=failed',
  );
});
