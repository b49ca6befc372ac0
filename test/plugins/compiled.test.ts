/** The same from a compiled executable that stands alone: hosts and guard are started from it, plugins import the SDK. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunPlugin, eventually, fixtures, pluginFolder, processesOf } from "./harness.ts";

let folder = "";
let executable = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "conductor-compiled-"));
  executable = join(folder, "small-conductor");
  const compile = {
    outfile: executable,
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadPackageJson: true,
  };
  const options = {
    entrypoints: [join(fixtures, "main.ts")],
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    compile,
  };
  const result = await Bun.build(options as Bun.BuildConfig);
  if (!result.success) throw new AggregateError(result.logs);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a plugin with TypeScript, relative files and node_modules of its own runs, and dies with the executable", async () => {
  const root = pluginFolder({
    bot: {
      ...bunPlugin(
        "bot",
        `import { part } from "./part"; import left from "leftpad";
         export default definePlugin({ handleRequest: (): string => part + left() + Object.keys(process.env).length });`,
      ),
      "part.ts": `import { definePlugin } from "conductor/plugin"; enum Kind { One = "one" } export const part: string = Kind.One + typeof definePlugin;`,
      "node_modules/leftpad/package.json": `{"name":"leftpad","main":"main.js"}`,
      "node_modules/leftpad/main.js": `module.exports = () => "left";`,
    },
  });
  const runId = `compiled-${process.pid}`;
  const child = Bun.spawn([executable, "manage", JSON.stringify({ dirs: [root], runId, cgroups: false })], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    expect(JSON.parse((await lines.next()).value ?? "null")).toMatchObject({
      ready: [{ name: "bot", state: "ready" }],
    });
    child.stdin.write("bot message\n");
    await child.stdin.flush();
    const { answer } = JSON.parse((await lines.next()).value ?? "null") as { answer: unknown };
    // PATH, CONDUCTOR_PLUGIN, CONDUCTOR_RUN, the flag against orphans; a shell may add PWD.
    expect(JSON.stringify(answer)).toMatch(/onefunctionleft[56]/);
    expect(processesOf(runId)).toHaveLength(1);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await eventually(() => processesOf(runId).length === 0);
    rmSync(root, { recursive: true });
  }
});
