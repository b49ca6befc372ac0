/** plugins new and plugins test, as an author uses them: from nothing to a plugin that runs. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { executable, RunningConductor, root, writeFiles } from "../e2e/running-conductor.ts";

setDefaultTimeout(40_000);

const defer = cleanUpAfterEach();
const bundled = ["android", "discord", "stubs", "voice"];

/** Every file of a folder as text, to see that nothing changed. */
const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(folder, path)).isFile())
      .map((path) => [path, readFileSync(join(folder, path), "latin1")]),
  );

describe("new", () => {
  test.each([
    [
      "typescript",
      [],
      ["README.md", "conductor-plugin.ts", "index.test.ts", "index.ts", "plugin.yaml", "tsconfig.json"],
    ],
    ["python", ["--runtime", "exec"], ["README.md", "plugin.py", "plugin.yaml"]],
    ["sh", ["--language", "sh"], ["README.md", "plugin.sh", "plugin.yaml"]],
  ])("in %s makes a plugin that keeps to the contract, and that a conductor runs", async (_, args, files) => {
    const cwd = scratchFolder(defer);
    mkdirSync(join(cwd, "plugins"));
    const made = await conductor(["plugins", "new", "my-bot", ...args], { cwd });
    expect([made.code, made.err]).toEqual([0, ""]);
    expect(made.out).toContain("conductor plugins test ./plugins/my-bot ");
    const folder = join(cwd, "plugins/my-bot");
    const before = contents(folder);
    expect(Object.keys(before).sort()).toEqual(files);
    expect(before["plugin.yaml"]).toContain("name: my-bot #");
    expect(Object.values(before).join("\n")).not.toMatch(/(python|shell|bun)-echo/);

    const tested = await conductor(["plugins", "test", "plugins/my-bot"], { cwd });
    expect([tested.code, tested.err]).toEqual([0, ""]);
    expect(tested.out).toMatch(/^ok +request +answered \{.*"message"/m);
    expect(tested.out).toMatch(/\n16 ok, 0 failed, 0 skipped\n$/);
    expect(contents(folder)).toEqual(before);

    const running = await RunningConductor.start({ folder: cwd, config: "log: { level: info }\n" });
    defer(() => running.kill());
    const { body } = await running.request("my-bot", { text: "hello" });
    expect(body).toMatchObject({ plugin: "my-bot", result: { type: "message" } });
    expect(await running.terminate()).toBe(0);
  });

  test("makes a TypeScript plugin that an editor understands and whose own test runs, without any package", async () => {
    const cwd = scratchFolder(defer);
    await conductor(["plugins", "new", "typed"], { cwd });
    const folder = join(cwd, "typed");
    const run = (command: string[], environment: Record<string, string> = {}) =>
      Bun.spawnSync(command, { cwd: folder, env: { PATH: process.env.PATH ?? "", ...environment } });
    const compiler = join(root, "node_modules/.bin/tsc");
    const checked = run([compiler, "--noEmit", "-p", "."]);
    expect([checked.exitCode, checked.stdout.toString()]).toEqual([0, ""]);
    const tested = run([executable, "test"], { BUN_BE_BUN: "1" });
    expect([tested.exitCode, tested.stderr.toString()]).toEqual([0, expect.stringContaining("1 pass")]);
    // The types are the SDK's own: a wrong answer is found before it runs.
    writeFiles(folder, {
      "index.ts":
        'import { definePlugin } from "conductor/plugin";\nexport default definePlugin({ handleRequest: () => () => 1 });\n',
    });
    expect(run([compiler, "--noEmit", "-p", "."]).stdout.toString()).toContain("error TS2322");
  });

  test("goes where --dir says, and tells what then has to be configured; -o json names the files", async () => {
    const cwd = scratchFolder(defer);
    const made = await conductor(["plugins", "new", "bot", "--dir", "other/place"], { cwd });
    expect(made.out).toContain(`with plugins: { dirs: [${cwd}/other/place] } in conductor.yaml`);
    expect(existsSync(join(cwd, "other/place/bot/index.ts"))).toBe(true);
    const json = await conductor(["plugins", "new", "bot-2", "--language", "sh", "-o", "json"], { cwd });
    expect(JSON.parse(json.out)).toEqual({
      folder: join(cwd, "bot-2"),
      language: "sh",
      files: ["README.md", "plugin.sh", "plugin.yaml"],
    });
  });

  test("overwrites nothing: a folder, a file or a dangling link of that name is refused", async () => {
    const cwd = scratchFolder(defer);
    mkdirSync(join(cwd, "folder"));
    writeFiles(cwd, { file: "mine" });
    symlinkSync("nowhere", join(cwd, "link"));
    for (const name of ["folder", "file", "link"]) {
      const { code, err } = await conductor(["plugins", "new", name], { cwd });
      expect([name, code]).toEqual([name, 1]);
      expect(err).toMatch(
        /^conductor: .*: there already, and nothing is overwritten; choose another name or --dir\n$/,
      );
    }
    expect(readdirSync(join(cwd, "folder"))).toEqual([]);
    expect(readFileSync(join(cwd, "file"), "utf8")).toBe("mine");
    const below = await conductor(["plugins", "new", "bot", "--dir", "file"], { cwd });
    expect(below.err).toBe(`conductor: ${cwd}/file: is no folder; choose another one with --dir\n`);
    const deeper = await conductor(["plugins", "new", "bot", "--dir", "file/deeper"], { cwd });
    expect(deeper.err).toMatch(/^conductor: .*: cannot be written \(E[A-Z]+\); choose a folder .*\n$/);
  });

  test.each([
    [["My_Bot"], "My_Bot: expected a name of a-z, 0-9 and -, starting with a letter, at most 64 long"],
    [["../up"], "../up: expected a name of a-z, 0-9 and -, starting with a letter, at most 64 long"],
    [["bot", "--runtime", "jvm"], "--runtime jvm: expected bun or exec"],
    [["bot", "--language", "perl"], "--language perl: expected one of typescript, python, sh"],
    [["bot", "--language", "sh", "--runtime", "bun"], "--language sh: expected --runtime exec, not bun"],
    [["bot", "--lines", "5"], "--lines: only with plugins logs"],
    [[], "new: expected a name for the plugin"],
  ])("%j is wrong usage", async (args, line) => {
    const cwd = scratchFolder(defer);
    const { code, err } = await conductor(["plugins", "new", ...args], { cwd });
    expect([code, err, readdirSync(cwd)]).toEqual([2, `conductor: ${line}\n`, []]);
  });
});

describe("test", () => {
  test("passes the four bundled plugins, as init unpacks them", async () => {
    const cwd = scratchFolder(defer);
    await conductor(["init"], { cwd });
    for (const name of bundled) {
      const settings = name === "android" ? ["--config-json", '{"port": 0}'] : [];
      const { code, out } = await conductor(["plugins", "test", `plugins/${name}`, ...settings], { cwd });
      expect([name, code, out.split("\n").filter((line) => line.startsWith("FAILED"))]).toEqual([
        name,
        0,
        [],
      ]);
      expect(out).toMatch(/\n16 ok, 0 failed, 0 skipped\n$/);
    }
  });

  test("takes payload, type and settings, and yields all of it as JSON", async () => {
    const cwd = scratchFolder(defer);
    await conductor(["plugins", "new", "bot"], { cwd });
    writeFiles(cwd, { "conductor.yaml": "plugins: { config: { bot: { greeting: hello } } }\n" });
    const args = ["bot", "--payload", '{"n": [1]}', "--type", "ping", "-o", "json"];
    const run = async (...more: string[]) => {
      const { code, out, err } = await conductor(["plugins", "test", ...args, ...more], { cwd });
      return { code, err, report: JSON.parse(out) as { checks: { name: string; detail: string }[] } };
    };
    const requestOf = ({ report }: Awaited<ReturnType<typeof run>>) =>
      report.checks.find(({ name }) => name === "request")?.detail;
    const plain = await run();
    expect([plain.code, plain.err]).toEqual([0, ""]);
    expect(plain.report).toMatchObject({ folder: join(cwd, "bot"), plugin: "bot", ok: true });
    expect(plain.report.checks[0]).toEqual({
      name: "manifest",
      outcome: "ok",
      detail: "bot 1.0.0, runtime bun, start eager",
      durationMs: expect.any(Number),
    } as never);
    expect(requestOf(plain)).toBe('answered {"greeting":"","type":"ping","echo":{"n":[1]}}');
    expect(requestOf(await run("--config", "conductor.yaml"))).toContain('"greeting":"hello"');
    expect(requestOf(await run("--config-json", '{"greeting": "hi"}'))).toContain('"greeting":"hi"');
  });

  test("of a plugin that fails says which check, what was seen and what the plugin wrote, and ends with 1", async () => {
    const cwd = scratchFolder(defer);
    await conductor(["plugins", "new", "bot", "--language", "python"], { cwd });
    const script = join(cwd, "bot/plugin.py");
    writeFiles(cwd, {
      "bot/plugin.py": readFileSync(script, "utf8").replace(
        'return {"status": "healthy", "detail": "echoes"}',
        'print("\\033[31mno health today"); return "fine"',
      ),
    });
    const { code, out, err } = await conductor(["plugins", "test", "bot"], { cwd });
    expect([code, err]).toEqual([1, ""]);
    expect(out).toMatch(/^FAILED +health +protocol: health_check answered "fine": expected \{status: .*$/m);
    expect(out).toContain("what it wrote last:\n");
    expect(out).toContain("  stderr \\u001b[31mno health today\n");
    expect(out).toMatch(/\n15 ok, 1 failed, 0 skipped\n$/);
  });

  test("interrupted by Ctrl-C it cleans up, and ends with 1", async () => {
    const cwd = scratchFolder(defer);
    mkdirSync(join(cwd, "tmp"));
    writeFiles(cwd, {
      "slow/plugin.yaml": "name: slow\nversion: 1.0.0\nruntime: exec\ncommand: [sh, run.sh]\n",
      "slow/run.sh": "echo here >&2\nsleep 1\nwhile read -r line; do :; done\n",
    });
    const child = Bun.spawn([executable, "plugins", "test", "slow"], {
      cwd,
      env: { PATH: process.env.PATH ?? "", TMPDIR: join(cwd, "tmp") },
      stdout: "pipe",
      stderr: "pipe",
    });
    const out = new Response(child.stdout).text();
    // The manifest's line comes before the plugin is started.
    while (readdirSync(join(cwd, "tmp")).length === 0) await Bun.sleep(5);
    child.kill("SIGINT");
    expect(await child.exited).toBe(1);
    expect(await out).toMatch(/^skipped +start +/m);
    expect(readdirSync(join(cwd, "tmp"))).toEqual([]);
  });

  test.each([
    [[], "test: expected the folder of a plugin"],
    [["nowhere"], "nowhere: no such folder"],
    [
      [".", "more"],
      "more: unexpected argument; usage: conductor plugins test DIR [--payload JSON] [--type TYPE] [--config-json JSON]",
    ],
    [[".", "--config-json", "[1]"], '--config-json: expected an object, such as {"port": 0}'],
    [[".", "--follow"], "--follow: only with plugins logs"],
  ])("%j is wrong usage", async (args, line) => {
    const { code, err } = await conductor(["plugins", "test", ...args], { cwd: scratchFolder(defer) });
    expect([code, err]).toEqual([2, `conductor: ${line}\n`]);
  });

  test("a payload that is no JSON is wrong usage", async () => {
    const { code, err } = await conductor(["plugins", "test", ".", "--payload", "{"], {
      cwd: scratchFolder(defer),
    });
    expect(code).toBe(2);
    expect(err).toMatch(/^conductor: --payload \{: expected JSON \(.+\)\n$/);
  });
});
