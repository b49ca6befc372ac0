/** Scanning again and again: what changed, what broke, what came from where; and what nobody should put there. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type FoundPlugin, PluginScanner } from "../../src/plugins/discovery.ts";
import { folderOfSource, sourceText } from "../../src/plugins/found-plugin.ts";
import { cpuMs } from "./cpu-time.ts";
import { bunPlugin, pluginFolder } from "./harness.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const searchPath = "/usr/local/bin:/usr/bin:/bin";

function scene(plugins: Record<string, Record<string, string>>, path: string | null = searchPath) {
  const root = pluginFolder(plugins);
  roots.push(root);
  const scanner = new PluginScanner({ dirs: [root], bundled: [], searchPath: path });
  const scan = async () => {
    const { plugins: found } = await scanner.scan();
    return Object.fromEntries(found.map((plugin) => [plugin.name, plugin])) as Record<string, FoundPlugin>;
  };
  /** Every error, without the folder. */
  const errors = async () =>
    (await scanner.scan()).plugins.flatMap((plugin) =>
      plugin.errors.map((text) => text.replaceAll(root, "")),
    );
  return { root, scanner, scan, errors };
}

const sh = (name: string, more = "") => ({
  "plugin.yaml": `name: ${name}\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\n${more}`,
});

describe("a scan tells what changed since the last one", () => {
  test("all at first, then only what was written, and what is gone is gone", async () => {
    const { root, scanner, scan } = scene({
      a: sh("a"),
      b: bunPlugin("b", "export default {};"),
      c: sh("c"),
    });
    const changed = async () =>
      (await scanner.scan()).plugins.filter((plugin) => plugin.changed).map(({ name }) => name);
    expect(await changed()).toEqual(["a", "b", "c"]);
    expect(await changed()).toEqual([]);
    appendFileSync(join(root, "a/plugin.yaml"), "start: lazy\n");
    expect(await changed()).toEqual(["a"]);
    appendFileSync(join(root, "b/index.ts"), "\n");
    expect(await changed()).toEqual(["b"]);
    rmSync(join(root, "c"), { recursive: true });
    expect(Object.keys(await scan())).toEqual(["a", "b"]);
    expect(await changed()).toEqual([]);
  });

  test("the same length and time of change do not hide an edit", async () => {
    const { root, scan } = scene({ a: sh("a") });
    const file = join(root, "a/plugin.yaml");
    await scan();
    const { atime, mtime } = statSync(file);
    writeFileSync(file, readFileSync(file, "utf8").replace("1.0.0", "2.0.0"));
    utimesSync(file, atime, mtime);
    expect((await scan()).a).toMatchObject({ changed: true, manifest: { version: "2.0.0" } });
  });

  test("an unchanged manifest is not parsed again, and still fails when a file it names is gone", async () => {
    const { root, scan } = scene({ a: bunPlugin("a", "export default {};") });
    const first = (await scan()).a;
    expect((await scan()).a?.manifest).toBe(first?.manifest as never);
    expect(first?.manifestHash).toMatch(/^[0-9a-f]{64}$/);
    rmSync(join(root, "a/index.ts"));
    const broken = (await scan()).a;
    expect(broken).toMatchObject({ manifest: null, changed: true });
    expect(broken?.errors).toEqual([
      `${root}/a/plugin.yaml:4: entry: "index.ts": no such file in the plugin's folder`,
    ]);
    expect((await scan()).a).toMatchObject({ manifest: null, changed: false });
    writeFileSync(join(root, "a/index.ts"), "");
    expect((await scan()).a).toMatchObject({ errors: [], changed: true });
  });

  test("a syntax error in the entry is told with its place, and goes with the edit that mends it", async () => {
    const { root, scan } = scene({ a: { ...bunPlugin("a", ""), "index.ts": "const a = 1;\nconst b = ;\n" } });
    const errors = [`${root}/a/index.ts:2:11: syntax error: Unexpected ;`];
    expect((await scan()).a).toMatchObject({ manifest: null, errors });
    expect((await scan()).a).toMatchObject({ errors, changed: false });
    writeFileSync(join(root, "a/index.ts"), "const b = 1;\n");
    expect((await scan()).a).toMatchObject({ errors: [], changed: true });
  });

  test.each([
    ["a first line for the shell", "index.ts", "#!/usr/bin/env bun\nexport default await 1;\n"],
    ["JSX in plain JavaScript", "index.js", "export default <a />;\n"],
    ["a return of CommonJS", "index.cjs", "if (globalThis.x) return;\nmodule.exports = {};\n"],
    ["decorators and enums", "index.ts", "enum A { b }\n@a class C { @b x = A.b }\nexport default C;\n"],
    ["another language", "index.wasm", "{{{"],
  ])("%s is no mistake", async (_, entry, source) => {
    const yaml = `name: a\nversion: 1.0.0\nentry: ${entry}\n`;
    expect((await scene({ a: { "plugin.yaml": yaml, [entry]: source } }).scan()).a?.errors).toEqual([]);
  });

  test("a program that was installed makes its plugin valid at the next scan", async () => {
    const bin = pluginFolder({});
    roots.push(bin);
    const more = { "plugin.yaml": "name: a\nversion: 1.0.0\nruntime: exec\ncommand: [new-program, x]\n" };
    const { scan } = scene({ a: more }, `relative:${bin}`);
    expect((await scan()).a?.errors[0]).toContain(
      `plugin.yaml:4: command: "new-program": no such program on PATH (${bin}); install it`,
    );
    writeFileSync(join(bin, "new-program"), "#!/bin/sh\n");
    expect((await scan()).a?.errors[0]).toContain("may not be executed (EACCES)");
    chmodSync(join(bin, "new-program"), 0o755);
    expect((await scan()).a?.errors).toEqual([]);
  });
});

describe("npm packages", () => {
  const json = (value: unknown) => JSON.stringify(value, null, 2);

  test("are plugins when package.json has the manifest, or the path of one, in `conductor`", async () => {
    const { root, scan } = scene({
      "node_modules/plain": { "package.json": json({ name: "plain", version: "1.0.0" }), "plugin.yaml": "x" },
      "node_modules/@me/bot": {
        "package.json": json({
          name: "@me/bot",
          version: "2.1.0",
          main: "./lib/bot.js",
          conductor: { start: "lazy" },
        }),
        "lib/bot.js": "export default {};",
      },
      "node_modules/tool": {
        "package.json": json({
          name: "tool",
          version: "1.0.0",
          conductor: { name: "hammer", version: "3.0.0", runtime: "exec", command: ["./run.sh"] },
        }),
        "run.sh": "#!/bin/sh\n",
      },
      "node_modules/pointer": {
        "package.json": json({ name: "pointer", version: "1.0.0", conductor: "conductor/plugin.yaml" }),
        "conductor/plugin.yaml": "name: far\nversion: 1.0.0\n",
        "conductor/index.ts": "",
      },
    });
    const found = await scan();
    expect(Object.keys(found).sort()).toEqual(["bot", "far", "hammer"]);
    expect(found.bot).toMatchObject({
      errors: [],
      source: { kind: "package", folder: join(root, "node_modules/@me/bot"), package: "@me/bot" },
      manifest: { name: "bot", version: "2.1.0", entry: "./lib/bot.js", start: "lazy" },
    });
    expect(found.hammer?.manifest).toMatchObject({ version: "3.0.0", command: ["./run.sh"] });
    expect(found.far && folderOfSource(found.far.source)).toBe(join(root, "node_modules/pointer/conductor"));
    expect((await scan()).bot?.changed).toBe(false);
  });

  test("with mistakes are listed with the place", async () => {
    const { errors } = scene({
      "node_modules/a": {
        "package.json": json({ name: "a", version: "1.0.0", conductor: { limits: { memroy: "1GiB" } } }),
        "index.js": "",
      },
      "node_modules/b": {
        "package.json": json({ name: "b", version: "1.0.0", conductor: "../a/plugin.yaml" }),
      },
      "node_modules/c": { "package.json": '{ "conductor": ' },
      "node_modules/d": { "package.json": json({ name: "d", version: "1.0.0", conductor: 5 }) },
      "node_modules/e": {
        "package.json": json({ name: "e", version: "1.0.0", conductor: { entry: "x.js" } }),
      },
    });
    expect(await errors()).toEqual([
      '/node_modules/a/package.json:6: limits.memroy: unknown key; did you mean "memory"?',
      expect.stringContaining(
        '/node_modules/b/package.json: conductor: "../a/plugin.yaml": leaves the plugin\'s folder',
      ),
      expect.stringContaining("/node_modules/c/package.json: expected JSON: "),
      "/node_modules/d/package.json: conductor: expected the manifest, or the path of a plugin.yaml in this package",
      '/node_modules/e/package.json:5: entry: "x.js": no such file in the plugin\'s folder',
    ]);
  });
});

describe("registered plugins", () => {
  test("are found until they are taken back, and judged as others are", async () => {
    const { root, scanner, scan } = scene({ a: sh("a") });
    const files = pluginFolder({ code: { "index.ts": "export default {};" } });
    roots.push(files);
    const folder = join(files, "code");
    const withdraw = scanner.register({ manifest: { name: "own", version: "1.0.0" }, folder });
    scanner.register({
      manifest: { name: "a", version: "1.0.0", runtime: "exec", command: ["sh"] },
      folder: null,
    });
    scanner.register({ manifest: { name: "c", version: "1" }, folder: null });
    scanner.register({ manifest: { name: "d", version: "1.0.0" }, folder: null });
    const cycle: Record<string, unknown> = { name: "e" };
    cycle.routes = cycle;
    scanner.register({ manifest: cycle, folder: null });
    const found = await scan();
    expect(found.own).toMatchObject({ errors: [], source: { kind: "registered", folder }, changed: true });
    expect(found["a~2"]?.errors[0]).toContain(
      `two plugins are called "a": ${root}/a is used, the one registered is not`,
    );
    expect(found.c?.errors[0]).toContain('registered c: version: "1": expected a semantic version');
    expect(found.d?.errors[0]).toContain("entry: expected a folder: a module without one cannot be found");
    expect(found["registered-5"]?.errors[0]).toContain("registered e: ");
    expect(sourceText({ kind: "registered", folder: null })).toBe("registered");
    expect((await scan()).own?.changed).toBe(false);
    withdraw();
    expect((await scan()).own).toBeUndefined();
  });
});

describe("what should not be there is listed with its reason", () => {
  test.each<[string, string, string]>([
    [
      "a write folder outside",
      "permissions: { write: [../x] }",
      'permissions.write: "../x": leaves the plugin\'s folder',
    ],
    ["an absolute one", "permissions: { write: [/etc] }", '"/etc": expected a folder inside the plugin\'s'],
    [
      "one by a link outside",
      "permissions: { write: [out] }",
      '"out": is a link out of the plugin\'s folder',
    ],
    ["the whole folder", "permissions: { write: [a/..] }", "is the plugin's whole folder, its code too"],
    ["NUL in one", 'permissions: { write: ["a\\0b"] }', "expected a path without NUL"],
    ["NUL in a program", 'health: { kind: exec, command: ["a\\0b"] }', "health.command: "],
    ["a check that is missing", "health: { kind: exec, command: [no-such-check] }", "health.command: "],
    ["a check outside", "health: { kind: exec, command: [../check.sh] }", "leaves the plugin's folder"],
    ["a reset outside", "recovery: { reset: [../../reset.sh] }", "plugin.yaml:5: recovery.reset: "],
    ["a requirement of no range", 'requires: ["b@>x"]', 'requires[0]: "b@>x": expected a plugin'],
  ])("%s", async (_, more, expected) => {
    const { root, errors } = scene({ a: sh("a", `${more}\n`) });
    symlinkSync("/tmp", join(root, "a/out"));
    expect((await errors()).join("\n")).toContain(expected);
  });

  test.each([
    "1",
    "1.2",
    "01.2.3",
    "1.2.3-",
    "1.2.3-01",
    "1.2.3+",
    "v1.2.3",
    "1.2.3-a..b",
    `${"9".repeat(20)}.0.0`,
  ])("the version %s", async (version) => {
    const { errors } = scene({ a: { "plugin.yaml": `name: a\nversion: "${version}"\n`, "index.ts": "" } });
    expect((await errors())[0]).toContain("/a/plugin.yaml:2: version: ");
  });

  test("a name longer than any file's, and one below a file", async () => {
    const long = "x".repeat(300);
    for (const entry of [long, "plugin.yaml/index.ts"]) {
      const { errors } = scene({ a: { "plugin.yaml": `name: a\nversion: 1.0.0\nentry: ${entry}\n` } });
      expect((await errors())[0]).toMatch(/entry: ".*": cannot be read \((ENAMETOOLONG|ENOTDIR)\)/);
    }
  });

  test("code in a folder that the plugin writes to", async () => {
    const files = {
      "plugin.yaml": "name: a\nversion: 1.0.0\nentry: src/a.ts\npermissions: { write: [src] }\n",
    };
    const { errors } = scene({ a: { ...files, "src/a.ts": "" } });
    expect((await errors())[0]).toContain('"src": holds the plugin\'s own code (src/a.ts)');
  });

  test("pipes, folders, links to nothing and in a ring, text that is none, nothing at all", async () => {
    const { root, errors } = scene({
      pipe: { x: "" },
      tree: { "plugin.yaml/x": "" },
      empty: { "plugin.yaml": "" },
      latin: { "plugin.yaml": "" },
      node_modules: { "plugin.yaml": "name: node\nversion: 1.0.0\n" },
    });
    expect(Bun.spawnSync(["mkfifo", join(root, "pipe/plugin.yaml")]).exitCode).toBe(0);
    writeFileSync(join(root, "latin/plugin.yaml"), Buffer.from("name: a\n# gr\xfcn\n", "latin1"));
    symlinkSync("nowhere", join(root, "dangling"));
    symlinkSync("ring", join(root, "ring"));
    mkdirSync(join(root, "ringed"));
    symlinkSync("plugin.yaml", join(root, "ringed/plugin.yaml"));
    mkdirSync(join(root, "device"));
    symlinkSync("/dev/zero", join(root, "device/plugin.yaml"));
    expect((await errors()).sort()).toEqual([
      "/dangling: is a link to nothing; remove it or correct it",
      "/device/plugin.yaml: expected a file",
      "/empty/plugin.yaml: name: nothing: expected a text",
      '/empty/plugin.yaml: version: nothing: expected a semantic version in quotes or with two dots, such as "1.2.0"',
      "/latin/plugin.yaml:2: expected UTF-8 text",
      "/pipe/plugin.yaml: expected a file",
      "/ring: is a link that leads back to itself; remove it",
      "/ringed/plugin.yaml: is a link that leads back to itself",
      "/tree/plugin.yaml: expected a file",
    ]);
  });

  test("texts that are deep, multiply or have no end of mistakes, in a few seconds of CPU time each at most", async () => {
    const laughs = Array.from({ length: 12 }, (_, n) =>
      n === 0
        ? "  a0: &a0 [x, x]"
        : `  a${n}: &a${n} [${Array(9)
            .fill(`*a${n - 1}`)
            .join(", ")}]`,
    );
    const head = "name: a\nversion: 1.0.0\nroutes:";
    for (const text of [
      `${head} ${"[".repeat(10_000)}${"]".repeat(10_000)}\n`,
      `${head} ${"{a: ".repeat(10_000)}1${"}".repeat(10_000)}\n`,
      `${head}\n  ${"- ".repeat(20_000)}x\n`,
      `${head}\n${Array.from({ length: 300 }, (_, n) => `${" ".repeat(n + 1)}a:`).join("\n")} 1\n`,
      `${head}\n${laughs.join("\n")}\n`,
      `${Array.from({ length: 9_000 }, (_, n) => `k${n}:`).join("\n")}\n`,
      `${head} ${"[".repeat(70)}${"]".repeat(70)}\n`,
    ]) {
      const { scan } = scene({ a: { "plugin.yaml": text, "index.ts": "" } });
      const beganMs = cpuMs();
      const [found] = Object.values(await scan());
      expect(cpuMs() - beganMs).toBeLessThan(3_000);
      expect(found).toMatchObject({ manifest: null });
      expect(found?.errors[0]).toContain("a/plugin.yaml");
      expect(found?.errors.length).toBeLessThan(60);
      expect(found?.errors.join("")).not.toContain("call stack");
    }
  });
});

test("a byte order mark and carriage returns are fine, and lines are counted with them", async () => {
  const { scan, errors } = scene({
    a: { "plugin.yaml": "\uFEFFname: a\r\nversion: 1.0.0\r\nruntime: exec\r\ncommand: [sh]\r\n" },
    b: { "plugin.yaml": "\uFEFFname: b\r\nversion: x\r\n", "index.ts": "" },
  });
  expect((await scan()).a?.errors).toEqual([]);
  expect((await errors())[0]).toContain("/b/plugin.yaml:2: version: ");
});

test("calls at the same time are scans one after the other", async () => {
  const { scanner } = scene({ a: sh("a") });
  const both = await Promise.all([scanner.scan(), scanner.scan()]);
  expect(both.map(({ plugins }) => plugins[0]?.changed)).toEqual([true, false]);
});

test("ten thousand plugins are found, the second time without parsing one", async () => {
  const many = 10_000;
  const names = Array.from({ length: many }, (_, n) => `p${n}`);
  const { root, scanner } = scene(Object.fromEntries(names.map((name) => [name, sh(name)])));
  const began = performance.now();
  const first = await scanner.scan();
  const coldMs = performance.now() - began;
  expect(first.plugins.filter(({ manifest }) => manifest)).toHaveLength(many);
  const second = await scanner.scan();
  const warmMs = performance.now() - began - coldMs;
  expect(second.plugins.filter(({ changed }) => changed)).toEqual([]);
  expect(second.plugins[many - 1]?.manifest).toBe(first.plugins[many - 1]?.manifest as never);
  // Here, since it takes longer than the clean-up after a test may.
  rmSync(root, { recursive: true });
  expect(coldMs).toBeLessThan(20_000);
  expect(warmMs).toBeLessThan(coldMs * 2);
}, 60_000);
