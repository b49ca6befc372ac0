/** The router with routing rules: target, chain, name and choice of the rule that matches. */

import { expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { compileRules } from "../../src/routing/rules.ts";
import { routing } from "./routed.ts";

const ruled = (...rules: Record<string, unknown>[]) => {
  const compiled = compileRules(configSchema.parse({ routing: { rules } }).routing.rules);
  return routing({ rules: () => compiled });
};

test("a request goes to the rule's target, and the outcome names both", async () => {
  const { dispatcher, breakers, observed, ask } = ruled({
    name: "commands",
    when: { "payload.command": { prefix: "!" } },
    to: "discord",
    balance: { hash: "payload.user" },
  });
  const outcome = await ask({ payload: { command: "!ping", user: "ann" } });
  expect(outcome).toMatchObject({
    kind: "answered",
    platform: "discord",
    rule: "commands",
    plugin: "discord",
    degraded: false,
  });
  expect(observed).toEqual([outcome]);
  expect(breakers.reports).toEqual(["discord success"]);
  // The plugin sees what the client asked for.
  expect(dispatcher.calls).toMatchObject([
    { plugin: "discord", request: { platform: "voice" }, route: { balance: "hash", key: "text ann" } },
  ]);
});

test("without a rule that matches all is as it was", async () => {
  const { dispatcher, ask } = ruled({ when: { type: "other" }, to: "discord" });
  const outcome = await ask({});
  expect(outcome).toMatchObject({ platform: "voice", plugin: "voice" });
  expect(outcome).not.toHaveProperty("rule");
  expect(dispatcher.calls[0]).not.toHaveProperty("route");
});

test("the rule's fallbacks are tried in their order", async () => {
  const { dispatcher, ask } = ruled({ to: "voice", fallback: ["discord", "stubs"] });
  dispatcher.set("voice", { state: "shed", reason: "memory" });
  dispatcher.behaviour.set("discord", {
    afterMs: 1,
    answer: { ok: false, kind: "crash", message: "it crashed" },
  });
  expect(await ask({})).toMatchObject({
    kind: "answered",
    plugin: "stubs",
    degraded: true,
    fallbackFor: "voice",
    rule: "rule 1",
    attempts: [{ plugin: "voice" }, { plugin: "discord" }, { plugin: "stubs" }],
  });
  expect(dispatcher.calls.at(-1)?.request.fallback?.unavailable).toBe("voice");
});

test("an empty chain means none, and no chain means the usual one", async () => {
  const none = ruled({ to: "voice", fallback: [] });
  const usual = ruled({ to: "voice" });
  for (const { dispatcher } of [none, usual]) dispatcher.set("voice", { state: "shed", reason: "memory" });
  expect(await none.ask({})).toMatchObject({ kind: "refused", code: "plugin-shed", rule: "rule 1" });
  expect(await usual.ask({})).toMatchObject({ kind: "answered", plugin: "stubs", degraded: true });
});

test("a target that nobody serves falls back too; without a fallback it is unknown", async () => {
  const chained = ruled({ name: "gone", to: "telegram", fallback: ["discord"] });
  expect(await chained.ask({})).toMatchObject({
    kind: "answered",
    plugin: "discord",
    fallbackFor: "telegram",
    reason: "no plugin serves telegram",
  });
  const alone = ruled({ name: "gone", to: "telegram", fallback: [] });
  expect(await alone.ask({})).toMatchObject({
    kind: "refused",
    status: 404,
    platform: "telegram",
    rule: "gone",
  });
});

test("a platform that nobody serves can be sent to one that somebody does", async () => {
  const { ask, observed } = ruled({ when: { platform: "sms" }, to: "discord" });
  expect(await ask({ platform: "sms" })).toMatchObject({ plugin: "discord" });
  // What observers label is a platform of the rules, not what the client wrote.
  expect(observed).toMatchObject([{ platform: "discord" }]);
});

test("new rules count from the next request on", async () => {
  const of = (to: string) =>
    compileRules(
      configSchema.parse({ routing: { rules: [{ to, when: { "header.x-a": "1" } }] } }).routing.rules,
    );
  let rules = of("discord");
  const { ask, router } = routing({ rules: () => rules });
  const headers = { "x-a": "1" };
  expect(router.ruleHeaders).toEqual(["x-a"]);
  expect(await ask({ headers })).toMatchObject({ plugin: "discord" });
  rules = of("stubs");
  expect(await ask({ headers })).toMatchObject({ plugin: "stubs" });
  rules = compileRules([]);
  expect(await ask({ headers })).toMatchObject({ plugin: "voice" });
  expect(router.ruleHeaders).toEqual([]);
});

test("a refusal names its rule too", async () => {
  const { dispatcher, ask } = ruled({ name: "one", to: "discord", fallback: [] });
  dispatcher.behaviour.set("discord", {
    afterMs: 1,
    answer: { ok: false, kind: "plugin-error", message: "no" },
  });
  expect(await ask({})).toMatchObject({ kind: "refused", rule: "one", code: "plugin-error" });
});
