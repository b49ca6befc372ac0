/** Limits against real processes that go past them: each is held, the end is named, and conductor and its guests go on. */

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { dirname } from "node:path";
import { ownCgroupPlaces } from "../../src/plugins/limits.ts";
import { bunPlugin, eventually, execPlugin, type Harness, harness, request, rogue } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 10_000 };
const places = ownCgroupPlaces();
const MiB = 2 ** 20;

/** Starts one plugin with `limits`, in cgroups unless told otherwise; it is not restarted. */
async function started(limits: string, { cgroups = true, modes = [] as string[] } = {}): Promise<Harness> {
  const more = `limits: { ${limits} }\nrecovery: { restart: never }\n`;
  const plugins = { bot: execPlugin("bot", rogue(...modes), more) };
  const made = await harness(plugins, { cgroupPlace: cgroups ? places : null });
  open = made;
  await made.manager.startAll();
  expect(made.manager.view("bot")?.state).toBe("ready");
  return made;
}

async function answerOf<Answer>({ manager }: Harness, type: string, payload: number): Promise<Answer> {
  const answer = await manager.dispatch("bot", request(type, payload), soon);
  if (!answer.ok) throw new Error(`${type}: ${answer.kind}: ${answer.message}`);
  return answer.value as Answer;
}

const enforcedOf = ({ manager }: Harness) => {
  const limits = manager.view("bot")?.limits;
  if (!limits) throw new Error("no such plugin");
  return limits.enforced;
};

describe.skipIf(places.cpu === null)("limits.cpu", () => {
  test("a plugin that computes without a pause gets its share and no more", async () => {
    const bot = await started("cpu: 0.5, requestTimeout: 10s");
    expect(enforcedOf(bot).cpu).toMatchObject({ limit: 0.5, reason: null });
    expect(enforcedOf(bot).cpu.mechanism).toMatch(/^cgroup v[12]$/);
    const { cpu, wall } = await answerOf<{ cpu: number; wall: number }>(bot, "spin", 1.5);
    expect(cpu / wall).toBeLessThan(0.75);
    expect(cpu / wall).toBeGreaterThan(0.05);
  });
});

test.each([
  ["exec", execPlugin("bot", rogue(), "limits: { cpu: 0.5 }\n")],
  [
    "bun",
    bunPlugin("bot", "export default definePlugin({ handleRequest: () => 1 });", "limits: { cpu: 0.5 }\n"),
  ],
])("without a quota every thread of a plugin of runtime %s yields to others", async (_, files) => {
  open = await harness({ bot: files });
  await open.manager.startAll();
  const view = open.manager.view("bot");
  expect(view?.limits.enforced.cpu).toEqual({
    limit: 0.5,
    mechanism: "nice 10",
    reason: "limits.cpu has no quota: no cpu cgroup is mounted; nice only makes it yield to others",
  });
  const [pid = 0] = view?.pids ?? [];
  for (const thread of readdirSync(`/proc/${pid}/task`)) expect(getPriority(Number(thread))).toBe(10);
});

describe.skipIf(places.pids === null)("limits.processes", () => {
  test("a fork bomb is stopped at the limit, conductor and other plugins go on, and nothing is left", async () => {
    const bot = await started("processes: 20, requestTimeout: 10s");
    const { started: children, refused } = await answerOf<{ started: number; refused: string }>(
      bot,
      "fork-bomb",
      300,
    );
    expect(children).toBeLessThanOrEqual(20);
    expect(children).toBeGreaterThan(10);
    expect(refused).toBe("Resource temporarily unavailable");
    expect(await bot.manager.dispatch("bot", request("message", 1), soon)).toMatchObject({ ok: true });
    expect(Bun.spawnSync(["true"]).success).toBe(true);
    expect(await bot.manager.stop("bot")).toMatchObject({ ok: true, report: { gone: true } });
  });

  test("the cgroups of an instance are gone with it, in every tree", async () => {
    const bot = await started("cpu: 0.5, memory: 64MiB");
    const [pid = 0] = bot.manager.view("bot")?.pids ?? [];
    const inside = readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .filter((line) => line.endsWith(`/conductor-${bot.runId}/bot.1`));
    expect(inside.length).toBe(places.memory?.version === 1 ? 3 : 1);
    const folder = bot.manager.footprintTargets()[0]?.cgroup?.path ?? "";
    await bot.manager.restart("bot");
    expect(existsSync(folder)).toBe(false);
    const next = bot.manager.footprintTargets()[0]?.cgroup?.path ?? "";
    expect(next).toBe(folder.replace(/\.1$/, ".2"));
    await bot.end();
    open = null;
    expect(existsSync(dirname(next))).toBe(false);
  });
});

describe("limits.memory without a cgroup", () => {
  test("a plugin past it is killed with its children, and that is what is reported", async () => {
    const bot = await started("memory: 96MiB", { cgroups: false, modes: ["fork"] });
    expect(bot.manager.view("bot")?.limits).toMatchObject({
      memoryBytes: 96 * MiB,
      mechanism: "statm watch",
      reason: expect.stringContaining("the kernel does not hold limits.memory: no memory cgroup is mounted"),
    });
    await answerOf(bot, "hold", 30);
    const over = await bot.manager.dispatch("bot", request("hold", 150), soon);
    if (over.ok) await eventually(() => bot.manager.view("bot")?.state === "failed");
    await eventually(() => bot.manager.view("bot")?.lastExit !== null);
    const text = bot.manager.view("bot")?.lastExit?.text ?? "";
    expect(text).toMatch(/^killed by conductor: over its memory limit of 96\.0 MiB \(held \d+(\.\d)? MiB\)/);
    const [exit] = bot.of("plugin.exit");
    expect(exit).toMatchObject({ plugin: "bot", signal: "SIGKILL", expected: false });
  });
});

test("requests over the queue are refused as overload, which costs those that wait nothing", async () => {
  const bot = await started("concurrency: 1, queue: 2");
  expect(bot.manager.view("bot")?.limits).toMatchObject({ concurrency: 1, queue: 2 });
  const taken = [1, 2, 3].map(() => bot.manager.dispatch("bot", request("sleep", 0.1), soon));
  await eventually(() => bot.manager.view("bot")?.queued === 2);
  const refused = await bot.manager.dispatch("bot", request(), soon);
  expect(refused).toMatchObject({ ok: false, kind: "overload" });
  expect(refused.ok ? "" : refused.message).toContain("1 running and 2 waiting requests");
  expect((await Promise.all(taken)).every(({ ok }) => ok)).toBe(true);
});

test("output over the rate of the manifest is dropped and counted", async () => {
  const bot = await started("logRate: 4KiB, requestTimeout: 20s");
  await bot.manager.dispatch("bot", request("flood-stderr"), { timeoutMs: 20_000 });
  const passed = bot.of("plugin.log").reduce((sum, { line }) => sum + line.length, 0);
  // A burst of 16 KiB, and 4 KiB for each second that the flood took; without a limit it would be 200 MiB.
  expect(passed).toBeLessThan(256 * 1_024);
  expect(bot.manager.view("bot")?.output.droppedBytes).toBeGreaterThan(100 * MiB);
}, 30_000);

describe("a request past its timeout", () => {
  test("runtime exec: is answered then, told to the plugin, and its late answer is dropped and counted", async () => {
    const bot = await started("requestTimeout: 150ms");
    const began = performance.now();
    const answer = await bot.manager.dispatch("bot", request("sleep", 0.6), soon);
    expect(answer).toMatchObject({ ok: false, kind: "timeout" });
    expect(performance.now() - began).toBeLessThan(600);
    await eventually(() => bot.manager.view("bot")?.output.lateAnswers === 1);
    const notices = await answerOf<{ method: string; params: { id: number } }[]>(bot, "notices", 0);
    expect(notices).toMatchObject([{ method: "cancel", params: { id: expect.any(Number) } }]);
    expect(bot.manager.view("bot")).toMatchObject({ state: "ready", output: { unknownAnswers: 0 } });
  });

  test("runtime bun: the same, by its signal", async () => {
    const source = `let aborted = 0;
      export default definePlugin({
        handleRequest: async ({ type }, context) => {
          if (type === "aborted") return aborted;
          context.signal.addEventListener("abort", () => aborted++);
          await Bun.sleep(400);
          return "late";
        },
      });`;
    open = await harness({ bot: bunPlugin("bot", source, "limits: { requestTimeout: 150ms }\n") });
    const { manager } = open;
    await manager.startAll();
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ ok: false, kind: "timeout" });
    expect(await manager.dispatch("bot", request("aborted"), soon)).toEqual({ ok: true, value: 1 });
    await eventually(() => manager.view("bot")?.output.lateAnswers === 1);
  });
});
