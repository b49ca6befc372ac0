/** Plugins that require others: who is blocked, by what, and when it starts again. Idle ones, too. */

import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { PluginState } from "../../src/plugins/lifecycle.ts";
import { eventually, execPlugin, fixtures, type Harness, harness, processesOf, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 5_000 };
const small = (name: string, more = "", ...args: string[]) =>
  execPlugin(name, ["sh", join(fixtures, "small.sh"), ...args], more);
const never = "recovery: { restart: never }\n";

/** top -> middle -> base */
const chain = () => ({
  base: small("base", never),
  middle: small("middle", "requires: [base]\n"),
  top: small("top", "requires: [middle]\n"),
});

const states = ({ manager }: Harness) =>
  Object.fromEntries(manager.list().map(({ name, state }) => [name, state]));

describe("what requires a plugin that goes down", () => {
  test.each<[PluginState, (it: Harness) => Promise<unknown>]>([
    ["shed", (it: Harness) => it.manager.shed("base", { urgent: false, reason: "memory" })],
    ["shed", (it: Harness) => it.manager.shed("base", { urgent: true, reason: "memory" })],
    ["disabled", (it: Harness) => it.manager.disable("base")],
    ["stopped", (it: Harness) => it.manager.stop("base")],
  ])("ends and is blocked when that is %s, and comes back with it", async (state, order) => {
    open = await harness(chain());
    const { manager, runId } = open;
    await manager.startAll();
    await order(open);
    expect(states(open)).toEqual({ base: state, middle: "blocked", top: "blocked" });
    expect(manager.view("middle")?.reason).toContain(`requires base, which is ${state}`);
    expect(manager.view("top")?.reason).toContain("requires middle, which is blocked");
    expect(processesOf(runId)).toEqual([]);
    expect(await manager.dispatch("top", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(await manager.enable("base")).toEqual({ ok: true });
    await eventually(() => manager.view("top")?.state === "ready");
    expect(states(open)).toEqual({ base: "ready", middle: "ready", top: "ready" });
  });

  test("gently, those above first", async () => {
    open = await harness(chain());
    await open.manager.startAll();
    await open.manager.shed("base", { urgent: false, reason: "memory" });
    const ended = open.of("plugin.exit").map(({ plugin }) => plugin);
    expect(ended).toEqual(["top", "middle", "base"]);
  });

  test("is blocked when that crashes, and comes back with its restart", async () => {
    open = await harness({
      ...chain(),
      base: small("base", "recovery: { backoff: { initial: 200ms } }\n"),
    });
    const { manager } = open;
    await manager.startAll();
    await manager.dispatch("base", request("exit-1"), soon);
    await eventually(() => manager.view("top")?.state === "blocked");
    await eventually(() => manager.view("top")?.state === "ready");
    expect(manager.view("base")?.restarts).toBe(1);
    expect(manager.view("top")?.restarts).toBe(0);
  });

  test("goes on while a new version of that takes over", async () => {
    open = await harness({ ...chain(), base: small("base", "swap: stop-first\n") });
    const { manager } = open;
    await manager.startAll();
    const before = manager.view("top")?.pids;
    expect((await manager.reload("base")).ok).toBe(true);
    expect(await manager.restart("base")).toEqual({ ok: true });
    expect(manager.view("top")).toMatchObject({ state: "ready", pids: before as number[] });
  });

  test("stays shed itself when it was shed", async () => {
    open = await harness(chain());
    const { manager } = open;
    await manager.startAll();
    await manager.shed("top", { urgent: false, reason: "memory" });
    await manager.shed("base", { urgent: false, reason: "memory" });
    await manager.restore("base");
    await eventually(() => manager.view("middle")?.state === "ready");
    expect(manager.view("top")?.state).toBe("shed");
  });
});

describe("a plugin without requests", () => {
  test("stops after its idle time, and the next request starts it", async () => {
    open = await harness({ bot: small("bot", "start: lazy\nidleStop: 1s\n") });
    const { manager } = open;
    await manager.startAll();
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ ok: true });
    await eventually(() => manager.view("bot")?.state === "stopped");
    expect(manager.view("bot")?.reason).toBe("no request came for 1 s (idleStop); the next one starts it");
    expect(manager.standing("bot")?.startsOnRequest).toBe(true);
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ ok: true });
    expect(manager.view("bot")?.state).toBe("ready");
  });

  test("does not stop while another one requires it", async () => {
    open = await harness({
      base: small("base", "start: lazy\nidleStop: 1s\n"),
      top: small("top", "requires: [base]\n"),
    });
    const { manager, of } = open;
    await manager.startAll();
    const began = performance.now();
    await eventually(() => performance.now() - began > 1_500);
    expect(manager.view("base")?.state).toBe("ready");
    await manager.stop("top");
    await eventually(() => manager.view("base")?.state === "stopped");
    expect(of("plugin.exit").map(({ plugin }) => plugin)).toEqual(["top", "base"]);
  });
});
