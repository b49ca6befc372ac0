/** Real hosts with real modules. */

import { afterEach, describe, expect, onTestFinished, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunPlugin, eventually, type Harness, harness, processesOf, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

async function start(
  source: string,
  more = "",
  options = {},
  files: Record<string, string> = {},
): Promise<Harness> {
  open = await harness({ bot: { ...bunPlugin("bot", source, more), ...files } }, options);
  await open.manager.startAll();
  return open;
}

const never = "recovery: { restart: never }\n";
const soon = { timeoutMs: 5_000 };

describe("a bun plugin", () => {
  test("gets its configuration and context, answers, logs, and is told to shut down", async () => {
    const data = mkdtempSync(join(tmpdir(), "conductor-data-"));
    onTestFinished(() => rmSync(data, { recursive: true, force: true }));
    const { manager, of } = await start(
      `let seen: unknown;
       export default definePlugin({
         initialize(config, context) { seen = { config, name: context.name, folder: context.folder, data: context.dataFolder }; context.log("up", { port: 1 }); console.log("plain"); },
         handleRequest: async (request, { deadlineMs }) => ({ seen: seen as never, type: request.type, inTime: deadlineMs > 0 && deadlineMs <= 5000, cwd: process.cwd() }),
         shutdown() { console.error("bye"); },
       });`,
      "",
      { config: { bot: { greeting: "hi" } }, dataFolder: () => data },
    );
    const { root } = open as Harness;
    expect(await manager.dispatch("bot", request("kind"), soon)).toEqual({
      ok: true,
      value: {
        seen: { config: { greeting: "hi" }, name: "bot", folder: `${root}/bot`, data },
        type: "kind",
        inTime: true,
        cwd: `${root}/bot`,
      },
    });
    await manager.stop("bot");
    const lines = of("plugin.log").map(({ stream, line }) => `${stream}: ${line}`);
    expect(lines).toContain('log: up {"port":1}');
    expect(lines).toContain("stdout: plain");
    expect(lines).toContain("stderr: bye");
  });

  test("imports its own files, its own node_modules, and conductor/plugin from both", async () => {
    const { manager } = await start(
      `import { other } from "./parts/other.ts"; import left from "leftpad";
       export default definePlugin({ handleRequest: () => [other, left(2)] });`,
      "",
      {},
      {
        "parts/other.ts": `import { definePlugin } from "conductor/plugin"; export const other: string = typeof definePlugin;`,
        "node_modules/leftpad/package.json": `{"name":"leftpad","main":"main.js"}`,
        "node_modules/leftpad/main.js": `module.exports = (n) => n + typeof require("conductor/plugin").definePlugin;`,
      },
    );
    expect(await manager.dispatch("bot", request(), soon)).toEqual({
      ok: true,
      value: ["function", "2function"],
    });
  });

  test.each([
    ["throws while it loads", `throw new Error("no token");`, "no token"],
    ["does not parse further on", `eval("{{{");`, "does not load"],
    [
      "imports what is not there",
      `import x from "not-installed"; export default definePlugin({ handleRequest: () => x });`,
      "not-installed",
    ],
    ["exports nothing", `export const x = 1;`, "has no plugin as its default export"],
    [
      "throws in initialize",
      `export default definePlugin({ initialize() { throw new Error("bad config"); } });`,
      "bad config",
    ],
    [
      "exits in initialize",
      `export default definePlugin({ initialize() { process.exit(4); } });`,
      "exited with code 4",
    ],
  ])("that %s failed to start and says why", async (_, source, words) => {
    const { manager, runId } = await start(source, never);
    expect(manager.view("bot")?.state).toBe("failed");
    expect(manager.view("bot")?.reason).toContain(words);
    expect(processesOf(runId)).toEqual([]);
  });

  test("that does not parse is invalid and says where, before anything is started", async () => {
    const { manager, runId } = await start("export default {{{", never);
    expect(manager.view("bot")?.state).toBe("invalid");
    expect(manager.view("bot")?.reason).toContain("index.ts:2:17: syntax error: ");
    expect(processesOf(runId)).toEqual([]);
  });

  test("that throws answers plugin-error and lives on", async () => {
    const { manager } = await start(
      `export default definePlugin({ handleRequest: (r) => { if (r.type === "bad") throw new Error("cannot"); return 1; } });`,
    );
    expect(await manager.dispatch("bot", request("bad"), soon)).toMatchObject({
      kind: "plugin-error",
      message: "cannot",
    });
    expect(await manager.dispatch("bot", request(), soon)).toEqual({ ok: true, value: 1 });
  });

  test("with an answer over 1 MiB answers an error instead", async () => {
    const { manager } = await start(
      `export default definePlugin({ handleRequest: () => "x".repeat(1 << 20) });`,
    );
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "plugin-error" });
  });

  test("hears of the deadline through its signal", async () => {
    const { manager, of } = await start(
      `export default definePlugin({ handleRequest: (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => { console.log("aborted"); reject(signal.reason); })) });`,
    );
    expect(await manager.dispatch("bot", request(), { timeoutMs: 50 })).toMatchObject({ kind: "timeout" });
    await eventually(() => of("plugin.log").some(({ line }) => line === "aborted"));
  });

  test("that spins for ever times out, and is killed after the grace", async () => {
    const { manager } = await start(
      `process.on("SIGTERM", () => {}); export default definePlugin({ handleRequest: () => { for (;;); } });`,
      "",
      { graceMs: 200 },
    );
    expect(await manager.dispatch("bot", request(), { timeoutMs: 100 })).toMatchObject({ kind: "timeout" });
    expect(await manager.stop("bot")).toMatchObject({ report: { gone: true, killed: true } });
  });

  test("that floods its stdout is cut, and its calls do not suffer", async () => {
    const { manager, of } = await start(
      `export default definePlugin({ handleRequest: () => { require("node:fs").writeSync(1, "y".repeat(20 << 20) + "\\n"); return "done"; } });`,
    );
    expect(await manager.dispatch("bot", request(), soon)).toEqual({ ok: true, value: "done" });
    await eventually(() => (manager.view("bot")?.output.droppedBytes ?? 0) > 19 * 2 ** 20);
    expect(of("plugin.log").every(({ line }) => line.length < 9_000)).toBe(true);
    expect(of("plugin.log").some(({ line }) => line.includes("(cut: 20971520 bytes)"))).toBe(true);
  });

  test("inside the executable is loaded by name", async () => {
    open = await harness(
      {},
      { bundled: [{ name: "inside", manifestText: "name: inside\nversion: 1.0.0\n" }] },
    );
    await open.manager.startAll();
    expect(await open.manager.dispatch("inside", request(), soon)).toEqual({
      ok: true,
      value: "from inside the executable",
    });
    expect(open.manager.view("inside")?.source).toBe("bundled");
  });
});
