/** TERM, INT, HUP: at any moment, once or twice. */

import { describe, expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { descendantsOf, processesIn } from "./processes.ts";
import { echoFiles, rogueManifest } from "./rogue-manifest.ts";
import { RunningConductor, type StartOptions, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();

async function start(options: StartOptions): Promise<RunningConductor> {
  const conductor = await RunningConductor.start(options);
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

const nothingIsLeft = (conductor: RunningConductor) =>
  until("nothing is left", 3_000, () => processesIn(conductor.folder).length === 0);

interface Status {
  thresholds: { shedRatio: number; restoreRatio: number };
  order: string[];
}
const statusOf = (conductor: RunningConductor) => conductor.get<Status>("/api/v1/scaling/status");

describe("TERM", () => {
  test("at any moment of the startup ends it, with 0 once it could be heard, and leaves nothing", async () => {
    const codes: number[] = [];
    // It listens for signals after some 60 ms, on a busy machine after several times as many.
    for (const delayMs of [0, 20, 40, 60, 80, 100, 120, 140, 1_500]) {
      const conductor = await start({ files: echoFiles("echo"), until: "spawned" });
      await Bun.sleep(delayMs);
      const beginMs = performance.now();
      const code = await conductor.terminate();
      expect(performance.now() - beginMs).toBeLessThan(3_000);
      // 143: before the program had begun to listen for signals.
      const heard = conductor.logged("conductor.stopping").length > 0;
      expect(code).toBe(heard ? 0 : 143);
      codes.push(code);
      await nothingIsLeft(conductor);
    }
    expect(codes.at(-1)).toBe(0);
  }, 40_000);

  test("while plugins still start ends it with 0", async () => {
    const conductor = await start({
      files: { "plugins/slow/plugin.yaml": rogueManifest("slow", ["hang-in-initialize"]) },
      config: "plugins: { startTimeout: 60s }\n",
      until: "listening",
    });
    expect((await fetch(conductor.url("/readyz"))).status).toBe(503);
    const beginMs = performance.now();
    expect(await conductor.terminate()).toBe(0);
    expect(performance.now() - beginMs).toBeLessThan(10_000);
    await nothingIsLeft(conductor);
  }, 20_000);

  test("lets a request under way be answered", async () => {
    const conductor = await start({ files: echoFiles("echo"), config: "scaler: { order: [echo] }\n" });
    const underWay = conductor.request("echo", 500, "sleep");
    await until("it is in flight", 2_000, async () => {
      const { inFlight } = await conductor.get<{ inFlight: number }>("/api/v1/plugins/echo");
      return inFlight === 1;
    });
    const ended = conductor.terminate();
    const answer = await underWay;
    expect([answer.status, answer.body.result]).toEqual([200, { echo: 500 }]);
    expect(await ended).toBe(0);
    await nothingIsLeft(conductor);
  }, 20_000);

  test("waits for an answer as long as plugins may take, refuses what comes meanwhile, and is held up by no follower", async () => {
    const conductor = await start({ files: echoFiles("echo"), config: "scaler: { order: [echo] }\n" });
    const follower = await fetch(conductor.url("/api/v1/events"));
    const cut = follower.text().then(
      () => "ended",
      () => "cut",
    );
    const underWay = conductor.request("echo", 3_000, "sleep");
    await until("it is in flight", 2_000, async () => (await conductor.plugin("echo")).inFlight === 1);
    await Bun.sleep(500);
    const beginMs = performance.now();
    const ended = conductor.terminate();
    await until("it stops", 2_000, () => conductor.logged("conductor.stopping").length > 0);
    const refused = await conductor.request("echo", 1);
    expect([refused.status, refused.body.code]).toEqual([503, "shutting_down"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("connection")).toBe("close");
    const order = await conductor.post("/api/v1/plugins/echo/disable", {});
    expect([order.status, order.headers.get("retry-after")]).toEqual([503, "5"]);
    // Whoever watches sees how far it is.
    expect((await conductor.plugin("echo")).state).toBe("ready");
    const answer = await underWay;
    expect([answer.status, answer.body.result]).toEqual([200, { echo: 3_000 }]);
    expect(await ended).toBe(0);
    expect(performance.now() - beginMs).toBeLessThan(10_000);
    expect(["ended", "cut"]).toContain(await cut);
    await nothingIsLeft(conductor);
  }, 20_000);

  test("with a request that is never answered and a plugin that will not end takes less than 10 s, and both hear of it", async () => {
    const conductor = await start({
      files: {
        ...echoFiles("echo", "limits: { requestTimeout: 1m }\n"),
        "plugins/stubborn/plugin.yaml": rogueManifest("stubborn", ["ignore-term", "slow-shutdown"]),
      },
      config: "plugins: { grace: 1m }\nscaler: { order: [echo] }\n",
    });
    const underWay = conductor.request("echo", 60_000, "sleep");
    await until("it is in flight", 2_000, async () => (await conductor.plugin("echo")).inFlight === 1);
    const beginMs = performance.now();
    const ended = conductor.terminate();
    const answer = await underWay;
    expect([answer.status, answer.body.code]).toEqual([503, "plugin_stopped"]);
    expect(await ended).toBe(0);
    expect(performance.now() - beginMs).toBeLessThan(10_000);
    await nothingIsLeft(conductor);
  }, 20_000);

  test("twice, or followed by INT, is the same as once", async () => {
    const conductor = await start({
      files: {
        ...echoFiles("echo"),
        "plugins/stubborn/plugin.yaml": rogueManifest("stubborn", ["ignore-term"]),
      },
      config: "plugins: { grace: 500ms }\n",
    });
    conductor.process.kill("SIGTERM");
    conductor.process.kill("SIGTERM");
    conductor.process.kill("SIGINT");
    expect(await conductor.terminate()).toBe(0);
    expect(conductor.logged("conductor.stopped")).toHaveLength(1);
    await nothingIsLeft(conductor);
  }, 20_000);

  test("with plugins that will not end takes less than 10 s", async () => {
    const modes = ["ignore-term", "slow-shutdown", "daemon"];
    const conductor = await start({
      files: { "plugins/stubborn/plugin.yaml": rogueManifest("stubborn", modes) },
      config: "plugins: { grace: 1m }\n",
    });
    const family = descendantsOf(conductor.pid);
    const beginMs = performance.now();
    expect(await conductor.terminate()).toBe(0);
    expect(performance.now() - beginMs).toBeLessThan(10_000);
    expect(family.length).toBeGreaterThanOrEqual(2);
    await nothingIsLeft(conductor);
  }, 20_000);
});

test("INT ends it as TERM does", async () => {
  const conductor = await start({ files: echoFiles("echo") });
  conductor.process.kill("SIGINT");
  expect(await conductor.process.exited).toBe(0);
  expect(conductor.logged("conductor.stopping")).toMatchObject([{ signal: "SIGINT" }]);
  await nothingIsLeft(conductor);
}, 20_000);

describe("HUP", () => {
  test("takes over thresholds and order, and refuses a broken file with every reason, keeping the old values", async () => {
    const conductor = await start({
      files: echoFiles("echo"),
      config: "scaler: { shed: 70%, restore: 60% }\n",
    });
    expect((await statusOf(conductor)).thresholds).toMatchObject({ shedRatio: 0.7, restoreRatio: 0.6 });
    conductor.reload("scaler: { shed: 75%, restore: 50%, order: [other, echo] }\n");
    await until(
      "it is taken over",
      3_000,
      async () => (await statusOf(conductor)).thresholds.shedRatio === 0.75,
    );
    const taken = await statusOf(conductor);
    expect(taken).toMatchObject({ thresholds: { restoreRatio: 0.5 }, order: ["other", "echo"] });

    const brokenFiles = ["scaler: { shed: 40%, restore: 50% }\nmonitr: {}\n", "scaler: [\n"];
    for (const [index, broken] of brokenFiles.entries()) {
      conductor.reload(broken);
      const refused = await until(
        "it is refused",
        3_000,
        () => conductor.logged("conductor.reload_refused")[index],
      );
      expect(JSON.stringify(refused.errors)).toContain("conductor.yaml:");
      expect(await statusOf(conductor)).toMatchObject({
        thresholds: { shedRatio: 0.75 },
        order: ["other", "echo"],
      });
    }
    const first = conductor.logged("conductor.reload_refused")[0]?.errors as string[];
    expect(first.join("\n")).toMatch(/scaler\.restore.*less than scaler\.shed/);
    expect(first.join("\n")).toMatch(/monitr: unknown key; did you mean "monitor"\?/);
    // An empty file is a valid one: all defaults.
    conductor.reload("");
    await until("defaults", 3_000, async () => (await statusOf(conductor)).thresholds.shedRatio === 0.8);
    expect(conductor.process.exitCode).toBeNull();
  }, 20_000);

  test("during the startup does not end it", async () => {
    const conductor = await start({ files: echoFiles("echo"), until: "spawned" });
    await until("it has begun", 5_000, () => conductor.logged("conductor.starting").length > 0);
    conductor.process.kill("SIGHUP");
    await until("it is ready", 5_000, () => conductor.logged("conductor.ready").length > 0);
    await until(
      "it has read the configuration again",
      5_000,
      () => conductor.logged("conductor.reloaded").length > 0,
    );
  }, 20_000);
});
