/** Routing rules in a running conductor: over HTTP, by header and payload, reloaded with HUP. */

import { expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();

const rule = (to: string, when: string, more = "") =>
  `routing: { rules: [{ name: one, to: ${to}, when: ${when}${more} }] }\n`;

async function start(config: string, more: Record<string, string> = {}): Promise<RunningConductor> {
  const files = { ...echoFiles("first"), ...echoFiles("second"), ...more };
  const conductor = await RunningConductor.start({
    config: `scaler: { order: [first, second] }\n${config}`,
    files,
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

async function ask(conductor: RunningConductor, payload: unknown, headers: Record<string, string> = {}) {
  const response = await conductor.post("/api/v1/requests", { platform: "first", payload }, headers);
  return (await response.json()) as Record<string, unknown>;
}

test("a rule on a header and the payload decides; HUP takes new ones over, and a broken file keeps the old ones", async () => {
  const order = "scaler: { order: [first, second] }\n";
  const conductor = await start(rule("second", '{ header.x-tenant: gold, payload.text: { regex: "^!" } }'));
  const gold = { "X-Tenant": "gold" };
  expect(await ask(conductor, { text: "!go" }, gold)).toMatchObject({
    plugin: "second",
    platform: "second",
    rule: "one",
  });
  expect(await ask(conductor, { text: "!go" })).toMatchObject({ plugin: "first", platform: "first" });
  expect(await ask(conductor, { text: "go" }, gold)).not.toHaveProperty("rule");

  conductor.reload(order + rule("second", "{ payload.text: [other] }", ", fallback: []"));
  await until("it is taken over", 5_000, () => conductor.logged("conductor.reloaded").length === 1);
  expect(await ask(conductor, { text: "!go" }, gold)).toMatchObject({ plugin: "first" });
  expect(await ask(conductor, { text: "other" })).toMatchObject({ plugin: "second" });

  conductor.reload(order + rule("second", '{ payload.text: { regex: "(?=x)" } }'));
  const [refused] = await until("it is refused", 5_000, () => {
    const lines = conductor.logged("conductor.reload_refused");
    return lines.length > 0 && lines;
  });
  expect(JSON.stringify(refused?.errors)).toContain(
    "conductor.yaml:2: routing.rules[0].when.payload.text.regex",
  );
  expect(await ask(conductor, { text: "other" })).toMatchObject({ plugin: "second" });

  const disabled = await conductor.post(
    "/api/v1/plugins/second/disable",
    {},
    { Authorization: `Bearer ${conductor.token}` },
  );
  expect(disabled.status).toBe(200);
  expect(await ask(conductor, { text: "other" })).toMatchObject({
    code: "plugin_disabled",
    platform: "second",
    rule: "one",
  });

  // What a client wrote is no label of a metric, though a rule sent it somewhere.
  conductor.reload(order + rule("first", '{ platform: { prefix: "any-" } }'));
  await until("it is taken over", 5_000, () => conductor.logged("conductor.reloaded").length === 2);
  const sent = await conductor.request("any-\u001b[31m", {});
  expect(sent.body).toMatchObject({ plugin: "first", rule: "one" });
  const metrics = await (await fetch(conductor.url("/metrics"))).text();
  expect(metrics).not.toContain("any-");
  expect(conductor.lines.join("\n")).not.toContain("any-");
  expect(await conductor.terminate()).toBe(0);
}, 60_000);

test("the requests of one user go to one of several processes", async () => {
  const threefold = {
    "plugins/chat/plugin.yaml": "name: chat\nversion: 1.0.0\nruntime: bun\nentry: index.ts\ninstances: 3\n",
    "plugins/chat/index.ts": `import { definePlugin } from "conductor/plugin";
export default definePlugin({ handleRequest: () => process.pid });
`,
  };
  const conductor = await start(rule("chat", "{}", ", balance: { hash: payload.user.id }"), threefold);
  await until("three run", 10_000, async () => (await conductor.plugin("chat")).pids.length === 3);
  const pids = new Set<unknown>();
  for (let user = 0; user < 12; user++) {
    const answers = [1, 2, 3].map(() => ask(conductor, { user: { id: user } }));
    const own = new Set((await Promise.all(answers)).map(({ result }) => result));
    expect(own.size).toBe(1);
    for (const pid of own) pids.add(pid);
  }
  // The keys are the same in every run, and they fall on all three.
  expect(pids.size).toBe(3);
  expect(await conductor.terminate()).toBe(0);
}, 60_000);
