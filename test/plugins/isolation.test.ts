/** What a plugin's process is given and what holds it: environment, folder, score, memory limit. */

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ownCgroupPlaces } from "../../src/plugins/limits.ts";
import { readProcess } from "../../src/plugins/proc-table.ts";
import { bunPlugin, eventually, execPlugin, type Harness, harness, request, rogue } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 5_000 };

const ownEnvironment = {
  PATH: process.env.PATH,
  HOME: "/nowhere",
  LANG: "C.UTF-8",
  CONDUCTOR_TOKEN: "secret",
  NOTIFY_SOCKET: "/run/notify",
  DATABASE_URL: "secret",
  BOT_TOKEN: "given",
  OOM_SCORE: "1",
};

const shellMakes = new Set(["PWD", "OLDPWD", "SHLVL", "_"]);
const allowing = "permissions: { env: [BOT_TOKEN, CONDUCTOR_TOKEN, NOT_SET] }\n";

test.each([
  ["exec", execPlugin("bot", rogue(), allowing), []],
  [
    "bun",
    bunPlugin(
      "bot",
      "export default definePlugin({ handleRequest: () => ({ ...process.env }) as never });",
      allowing,
    ),
    ["BUN_FEATURE_FLAG_NO_ORPHANS"],
  ],
])("a plugin of runtime %s has only the variables that it may have", async (_, files, further) => {
  open = await harness({ bot: files }, { environment: ownEnvironment });
  await open.manager.startAll();
  const answer = await open.manager.dispatch("bot", request("env"), soon);
  const seen = answer.ok ? (answer.value as Record<string, string>) : {};
  const names = Object.keys(seen).filter(
    (name) => !(shellMakes.has(name) || name.includes("PYENV") || name === "LC_CTYPE"),
  );
  expect(names.sort()).toEqual(
    [
      "BOT_TOKEN",
      "CONDUCTOR_INSTANCE",
      "CONDUCTOR_PLUGIN",
      "CONDUCTOR_RUN",
      "HOME",
      "LANG",
      "PATH",
      ...further,
    ].sort(),
  );
  expect(seen).toMatchObject({ BOT_TOKEN: "given", CONDUCTOR_PLUGIN: "bot", CONDUCTOR_RUN: open.runId });
});

test("plugins run in their own folder and session, and the kernel's order is the degradation order", async () => {
  const names = ["voice", "android", "stubs", "unnamed"];
  open = await harness(Object.fromEntries(names.map((name) => [name, execPlugin(name, rogue())])), {
    order: ["voice", "android", "discord", "stubs"],
  });
  const { manager, root } = open;
  await manager.startAll();
  const facts = new Map<string, { pid: number; cwd: string; oom: number }>();
  for (const name of names) {
    const answer = await manager.dispatch(name, request("pid"), soon);
    facts.set(name, answer.ok ? (answer.value as never) : { pid: 0, cwd: "", oom: 0 });
  }
  for (const name of names) {
    expect(facts.get(name)?.cwd).toBe(join(root, name));
    const pid = manager.view(name)?.pids[0] ?? 0;
    expect(facts.get(name)?.pid).toBe(pid);
    expect(readProcess(pid)).toMatchObject({ sessionId: pid, groupId: pid });
  }
  // Four plugins from 1000 down to 100 in three equal steps; the one that the order does not name goes first.
  expect(names.map((name) => facts.get(name)?.oom)).toEqual([700, 400, 100, 1000]);
  expect(Number(readFileSync("/proc/self/oom_score_adj", "utf8"))).toBeLessThan(100);
});

describe.skipIf(ownCgroupPlaces().memory === null)("in a cgroup", () => {
  const limited = "limits: { memory: 64MiB }\nrecovery: { restart: never }\n";

  test("a plugin past its limit is killed by the kernel, and that is what is reported", async () => {
    open = await harness({ bot: execPlugin("bot", rogue(), limited) }, { cgroupPlace: ownCgroupPlaces() });
    const { manager } = open;
    await manager.startAll();
    expect(manager.view("bot")?.limits).toMatchObject({ memoryBytes: 64 * 2 ** 20, reason: null });
    expect(manager.view("bot")?.limits.mechanism).toMatch(/^cgroup v[12]$/);
    const answer = await manager.dispatch("bot", request("eat", 100), { timeoutMs: 10_000 });
    expect(answer).toMatchObject({ ok: false, kind: "crashed" });
    await eventually(() => manager.view("bot")?.state === "failed");
    expect(manager.view("bot")?.lastExit).toMatchObject({ signal: "SIGKILL" });
    expect(manager.view("bot")?.lastExit?.text).toContain(
      "killed by the kernel (out of memory, its limit is 64.0 MiB)",
    );
  });

  test("every plugin has a cgroup with all its processes and nothing else, gone after the stop", async () => {
    open = await harness(
      { bot: execPlugin("bot", rogue("fork", "daemon")) },
      { cgroupPlace: ownCgroupPlaces() },
    );
    const { manager } = open;
    await manager.startAll();
    const [target] = manager.footprintTargets();
    const path = target?.cgroup?.path ?? "";
    expect(target).toMatchObject({ plugin: "bot", rootPids: manager.view("bot")?.pids ?? [] });
    const inside = () => readFileSync(join(path, "cgroup.procs"), "utf8").split("\n").filter(Boolean).length;
    await eventually(() => inside() === 5);
    await manager.stop("bot");
    expect(existsSync(path)).toBe(false);
    expect(manager.footprintTargets()).toEqual([]);
  });
});
