/** Requests to a platform that is shed: a stand-in answers, and where there is none the refusal says why. */

import { expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const base = `budget: { memory: ${roomyBudget()} }\n${quick}plugins: { config: { android: { port: 0 } } }\n`;

test("a shed platform is answered by stubs, degraded and with the reason; without stubs it is refused with the reason", async () => {
  const conductor = await RunningConductor.start({ config: base + calm });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  expect((await conductor.request("discord", { command: "!ping" })).body).toMatchObject({
    plugin: "discord",
    degraded: false,
  });

  conductor.reload(base + (await pressing(conductor)));
  await until("all but the last are shed", 10_000, async () => {
    const { stubs, ...others } = await conductor.states();
    return stubs === "ready" && Object.values(others).every((state) => state === "shed");
  });
  const stood = await conductor.request("discord", { command: "!ping" });
  expect(stood.status).toBe(200);
  expect(stood.body).toMatchObject({
    platform: "discord",
    plugin: "stubs",
    degraded: true,
    fallbackFor: "discord",
    result: { unavailable: "discord" },
  });
  expect(stood.body.reason).toMatch(/^discord is shed: .* % of the budget is used, at or over the shed line/);

  const disabled = await conductor.post(
    "/api/v1/plugins/stubs/disable",
    {},
    { Authorization: `Bearer ${conductor.token}` },
  );
  expect(disabled.status).toBe(200);
  const refused = await conductor.request("discord", { command: "!ping" });
  expect(refused.status).toBe(503);
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(refused.body).toMatchObject({ blocked_by: "memory", code: expect.stringMatching(/^plugin.shed$/) });
  expect(refused.body.detail).toContain("shed line");

  const unknown = await conductor.request("fax", {});
  expect(unknown.status).toBe(404);
  expect(unknown.body.known).toEqual(["android", "discord", "stubs", "voice"]);

  conductor.reload(base + calm);
  await until("discord is back", 15_000, async () => (await conductor.states()).discord === "ready");
  expect((await conductor.request("discord", { command: "!ping" })).body).toMatchObject({
    plugin: "discord",
    degraded: false,
  });
  expect(await conductor.terminate()).toBe(0);
}, 60_000);

test("started when memory is short, the last of the order runs and stands in; the others follow when there is room", async () => {
  const conductor = await RunningConductor.start({
    config: `${base}scaler: { shed: "1%", restore: "0.5%", margin: "0.1%", dwell: 0s }\n`,
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const states = await conductor.states();
  expect(states).toMatchObject({
    stubs: "ready",
    voice: "discovered",
    android: "discovered",
    discord: "discovered",
  });
  const stood = await conductor.request("discord", { command: "!ping" });
  expect(stood.body).toMatchObject({ plugin: "stubs", degraded: true });
  expect(stood.body.reason).toContain("memory is short");
  conductor.reload(base + calm);
  await until("all run", 10_000, async () =>
    Object.values(await conductor.states()).every((state) => state === "ready" || state === "degraded"),
  );
}, 30_000);
