/** Orders for memory that meet orders of a person, or requirements. */

import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually, execPlugin, fixtures, type Harness, harness, rogue } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const small = (name: string, more = "") => execPlugin(name, ["sh", join(fixtures, "small.sh")], more);

test("one that is being disabled and will not end is killed by an urgent shed, and stays disabled", async () => {
  open = await harness({ bot: execPlugin("bot", rogue("ignore-term")) }, { graceMs: 20_000 });
  const { manager } = open;
  await manager.startAll();
  const disabling = manager.disable("bot");
  await eventually(() => manager.view("bot")?.state === "draining");
  const shed = await manager.shed("bot", { urgent: true, reason: "memory" });
  expect(shed).toMatchObject({ ok: true, report: { gone: true, killed: true } });
  await disabling;
  expect(manager.view("bot")?.state).toBe("disabled");
});

test("a shed one whose requirement is shed stays shed when it is restored too early", async () => {
  open = await harness({ base: small("base"), bot: small("bot", "requires: [base]\n") });
  const { manager } = open;
  await manager.startAll();
  await manager.shed("bot", { urgent: false, reason: "memory" });
  await manager.shed("base", { urgent: false, reason: "memory" });
  expect(await manager.restore("bot")).toMatchObject({ ok: false, code: "start-failed" });
  expect(manager.view("bot")?.state).toBe("shed");
  expect(await manager.start("bot")).toMatchObject({ ok: false, code: "shed" });
  expect(await manager.restore("base")).toEqual({ ok: true });
  expect(await manager.restore("bot")).toEqual({ ok: true });
});
