/** Plugins that are told what happens: both runtimes, what they may see, and what becomes of events they do not read. */

import { afterEach, describe, expect, test } from "bun:test";
import { EventBus } from "../../src/events/bus.ts";
import { silentLog } from "../../src/log.ts";
import { eventFor, pluginPatternProblem } from "../../src/plugins/event-view.ts";
import { parseManifestText } from "../../src/plugins/manifest.ts";
import type { Json, PluginEvent } from "../../src/sdk/plugin.ts";
import {
  bunPlugin,
  clock,
  eventually,
  execPlugin,
  type Harness,
  harness,
  request,
  rogue,
} from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 5_000 };

/** A manager whose plugins are told what `bus` announces. */
async function start(plugins: Record<string, Record<string, string>>) {
  const bus = new EventBus(clock, silentLog, "run");
  const drops: string[] = [];
  const made = await harness(plugins, {
    publisher: bus,
    events: {
      subscribe: (take, wants) => bus.subscribe(take, wants),
      dropped: (plugin) => drops.push(plugin),
    },
  });
  open = made;
  await made.manager.startAll();
  const ask = async (plugin: string, type = "message"): Promise<Json> => {
    const answer = await made.manager.dispatch(plugin, request(type), soon);
    return answer.ok ? answer.value : answer.message;
  };
  return { ...made, bus, drops, ask };
}

/** Keeps what it is told, and answers with it. */
const listening = (events: string, more = "") =>
  bunPlugin(
    "bot",
    `const seen: unknown[] = [];
     export default definePlugin({
       events: ${events},
       ${more}
       handleEvent(event) { seen.push(event); },
       handleRequest: async () => seen as never,
     });`,
  );

const health = (bus: EventBus, detail = "") =>
  bus.publish("health.changed", { platform: "voice", from: "healthy", to: "failed", detail });

describe("a bun plugin", () => {
  test("is told of what it names, in order, without what other plugins wrote", async () => {
    const { bus, ask } = await start({ bot: listening('["health.changed", "plugin.*"]') });
    health(bus, "it said: my password is swordfish");
    bus.publish("plugin.log", { plugin: "bot", stream: "stderr", line: "own" });
    bus.publish("plugin.log", { plugin: "voice", stream: "stderr", line: "other" });
    bus.publish("scaling.decision", {
      decisionId: 1,
      rule: "shed",
      reason: "",
      actions: [],
      observed: false,
    });
    bus.publish("plugin.state", { plugin: "voice", from: "starting", to: "failed", reason: "last words: x" });
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    await eventually(async () =>
      ((await ask("bot")) as Json[]).some((each) => JSON.stringify(each).includes("voice")),
    );
    const seen = (await ask("bot")) as unknown as PluginEvent[];
    expect(seen.filter(({ data }) => data.plugin !== "bot")).toEqual([
      { name: "health.changed", at, data: { platform: "voice", from: "healthy", to: "failed" } },
      { name: "plugin.state", at, data: { plugin: "voice", from: "starting", to: "failed" } },
    ]);
    expect(seen.some(({ name }) => name === "plugin.log")).toBe(false);
    // Its own state, with the reason: it became ready after it had answered.
    expect(seen.find(({ data }) => data.to === "ready")?.data.reason).toBe("started with conductor");
  });

  test("that throws goes on, and its log says so; one that takes its time loses the oldest and is told", async () => {
    const { bus, ask } = await start({
      bot: bunPlugin(
        "bot",
        `const seen: unknown[] = [];
         let go: () => void = () => undefined;
         const gone = new Promise<void>((resolve) => { go = resolve; });
         export default definePlugin({
           events: ["monitor.gap"],
           async handleEvent(event) {
             seen.push([event.data.source, event.dropped ?? 0]);
             if (event.data.source === "0") { await gone; throw new Error("not today"); }
           },
           handleRequest: async ({ type }) => { if (type === "go") go(); return seen as never; },
         });`,
      ),
    });
    const lines: string[] = [];
    bus.on("plugin.log", ({ line }) => lines.push(line));
    bus.publish("monitor.gap", { source: "0", error: "" });
    await eventually(async () => ((await ask("bot")) as Json[]).length === 1);
    for (let number = 1; number <= 1_200; number++)
      bus.publish("monitor.gap", { source: String(number), error: "" });
    // Requests are answered meanwhile, and the answer comes after what was sent before the request.
    expect(await ask("bot")).toEqual([["0", 0]]);
    await ask("bot", "go");
    await eventually(async () => ((await ask("bot")) as Json[]).length === 1_001);
    const seen = (await ask("bot")) as [string, number][];
    expect([seen[1], seen[2], seen.at(-1)]).toEqual([
      ["201", 200],
      ["202", 0],
      ["1200", 0],
    ]);
    expect(lines).toContain("handleEvent failed: not today");
  });

  test.each([
    [
      '["health.chnged"]',
      "",
      'initialize failed: events: no event matches "health.chnged"; did you mean "health.changed"?',
    ],
    [
      '["plugin.log"]',
      "",
      "initialize failed: events: plugins are not told of plugin.log; they are told of plugin.state,",
    ],
    ['"plugin.*" as never', "", "initialize failed: events: expected a list of at most 32 names or groups"],
    ["[5] as never", "", "initialize failed: events: 5: expected a text"],
  ])("with events %s does not start, and says why", async (events, more, reason) => {
    const { manager } = await start({ bot: listening(events, more) });
    expect(manager.view("bot")?.reason).toContain(reason);
  });

  test("with events and nothing to take them does not start", async () => {
    const { manager } = await start({
      bot: bunPlugin("bot", 'export default definePlugin({ events: ["*"], handleRequest: async () => 1 });'),
    });
    expect(manager.view("bot")?.reason).toContain(
      "the plugin names events, but has no handleEvent to take them",
    );
  });
});

describe("an exec plugin", () => {
  const more = 'events: ["health.*", "breaker.changed"]\n';

  test("is told by notices of what its manifest names", async () => {
    const { bus, ask } = await start({ bot: execPlugin("bot", rogue(), more) });
    health(bus);
    bus.publish("monitor.gap", { source: "disk", error: "" });
    bus.publish("breaker.changed", {
      platform: "voice",
      from: "closed",
      to: "open",
      reason: "3 failures: secret",
    });
    const notices = (await ask("bot", "notices")) as unknown as {
      method: string;
      params: PluginEvent;
    }[];
    expect(
      notices.filter(({ method }) => method === "event").map(({ params }) => [params.name, params.data]),
    ).toEqual([
      ["health.changed", { platform: "voice", from: "healthy", to: "failed" }],
      ["breaker.changed", { platform: "voice", from: "closed", to: "open" }],
    ]);
  });

  test("that does not read loses events, counted, while calls still have room", async () => {
    const { bus, drops, manager } = await start({
      bot: execPlugin("bot", rogue("not-reading"), 'events: ["scaling.*"]\nhealth: { kind: none }\n'),
    });
    const actions = Array.from({ length: 100 }, () => "x".repeat(100));
    const before = process.memoryUsage().heapUsed;
    for (let number = 0; number < 5_000; number++)
      bus.publish("scaling.decision", {
        decisionId: number,
        rule: "shed",
        reason: "",
        actions,
        observed: false,
      });
    Bun.gc(true);
    // Of 50 MB; at most 256 KiB wait, beside what the socket itself holds.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * 2 ** 20);
    expect(drops.length).toBeGreaterThan(4_000);
    const answer = await manager.dispatch("bot", request(), { timeoutMs: 100 });
    expect(answer).toMatchObject({ ok: false, kind: "timeout" });
  });

  test("is told nothing once it is being stopped, and no drop is counted", async () => {
    const { bus, drops, manager } = await start({ bot: execPlugin("bot", rogue(), more) });
    const stopped = manager.stop("bot");
    health(bus);
    await stopped;
    health(bus);
    expect(drops).toEqual([]);
  });
});

test("a manifest that names events which no plugin is told of is refused, with protocol none too", async () => {
  const head = "name: bot\nversion: 1.0.0\nruntime: exec\ncommand: [cat]\n";
  const errorsOf = async (more: string) => {
    const parsed = await parseManifestText(head + more, "plugin.yaml");
    return parsed.ok ? [] : parsed.errors;
  };
  expect(await errorsOf('events: ["helth.changed"]\n')).toEqual([
    expect.stringContaining('no event matches "helth.changed"; did you mean "health.changed"?'),
  ]);
  expect(await errorsOf("events: [plugin.log]\n")).toEqual([
    expect.stringContaining("plugins are not told of plugin.log"),
  ]);
  expect(await errorsOf('protocol: none\nevents: ["*"]\n')).toEqual([
    expect.stringContaining("expected none: with protocol: none it is told nothing"),
  ]);
  expect(await errorsOf('events: ["*"]\n')).toEqual([]);
});

test("no plugin sees a log line, its own neither", () => {
  const data = { plugin: "bot", stream: "log" as const, line: "hi" };
  expect(eventFor("bot", { name: "plugin.log", atMs: 0, id: null, data })).toBeNull();
  expect(pluginPatternProblem("*")).toBeNull();
});
