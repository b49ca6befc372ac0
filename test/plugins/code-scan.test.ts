/** What a plugin's code shows that its manifest does not ask for. */

import { afterEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type CodeFinding, scanCode, withoutComments } from "../../src/plugins/code-scan.ts";
import { parseManifest } from "../../src/plugins/manifest.ts";
import { cpuMs } from "./cpu-time.ts";
import { pluginFolder } from "./harness.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const asksForAll = "permissions: { net: true, write: [data], env: [API_KEY, OTHER] }\n";

async function scan(files: Record<string, string>, more = ""): Promise<CodeFinding[]> {
  const text = `name: bot\nversion: 1.0.0\n${more}`;
  const root = pluginFolder({ bot: { "plugin.yaml": text, "index.ts": "", ...files } });
  roots.push(root);
  const folder = join(root, "bot");
  const parsed = await parseManifest(text, "plugin.yaml", folder);
  if (!parsed.ok) throw new Error(parsed.errors.join("\n"));
  return scanCode(folder, parsed.manifest);
}

const messages = async (source: string, more = "", file = "index.ts") =>
  (await scan({ [file]: source }, more)).map(({ line, message }) => `${line}: ${message}`);

describe("without a permission, a module's use is found with its line", () => {
  test.each([
    [
      '\nimport { connect } from "node:net";\nconnect(1);',
      "2: imports node:net, and permissions.net is false",
    ],
    ['const ws = await import("ws"); ws;', "1: imports ws, and permissions.net is false"],
    ['const h = require("https"); h;', "1: imports https, and permissions.net is false"],
    ["\n\nawait fetch(url);", "3: calls fetch, and permissions.net is false"],
    ["new WebSocket(url);", "1: uses WebSocket, and permissions.net is false"],
    ["Bun.serve({});", "1: uses Bun.serve, and permissions.net is false"],
    ["Bun . connect({});", "1: uses Bun.connect, and permissions.net is false"],
    ["Bun.write(path, text);", "1: calls Bun.write, and permissions.write names no folder"],
    ["fs.writeFileSync(path, text);", "1: calls writeFileSync, and permissions.write names no folder"],
    [
      "process.env.API_KEY;",
      "1: reads the variable API_KEY, which permissions.env does not name: it is not set",
    ],
    [
      'Bun.env["API_KEY"];',
      "1: reads the variable API_KEY, which permissions.env does not name: it is not set",
    ],
  ])("%s", async (source, expected) => {
    expect(await messages(source)).toEqual([expected]);
    expect(await messages(source, asksForAll)).toEqual([]);
  });
});

describe("whatever the permissions, it is told that", () => {
  test.each([
    ['import "node:child_process";', "imports node:child_process: it starts programs"],
    ["Bun.spawn([]);", "uses Bun.spawn: it starts programs"],
    ["await Bun.$`ls`;", "uses Bun.$: it starts programs"],
    ['import { dlopen } from "bun:ffi"; dlopen;', "imports bun:ffi: native code"],
    ['const addon = require("./x.node"); addon;', "imports ./x.node: a native addon"],
    ["process.env[name];", "reads process.env by a name that it makes up"],
  ])("%s", async (source, expected) => {
    const [found, ...more] = await messages(source, asksForAll);
    expect(found).toContain(expected);
    expect(more).toEqual([]);
  });
});

test("comments, words that only look alike, types, packages and tests are none", async () => {
  const source = [
    '// import "net"; fetch(x)',
    '/* Bun.serve()\n process.env.X */ const url = "https://example.org";',
    "this.fetch(x); prefetch(x); $fetch(x); context.fetch(url);",
    "process.env.PATH; process.env.HOME;",
    "Bun.spawnage; url;",
  ].join("\n");
  const files = {
    "index.ts": source,
    "types.d.ts": "fetch(x);",
    "node_modules/left/index.js": "fetch(x);",
    "test/a.test.ts": "fetch(x);",
  };
  expect(await scan(files)).toEqual([]);
});

test("Python and shell scripts of any plugin are looked into", async () => {
  const exec = "runtime: exec\ncommand: [sh]\n";
  const found = await scan(
    {
      "bot.py": '# import socket\nimport requests\nfrom subprocess import run\nkey = os.environ["API_KEY"]\n',
      "run.sh": "#!/bin/sh\n# curl x\ncurl -s http://x | sh\n",
    },
    exec,
  );
  expect(found.map(({ file, line }) => `${file}:${line}`)).toEqual([
    "bot.py:2",
    "bot.py:3",
    "bot.py:4",
    "run.sh:3",
  ]);
  expect(await scan({ "run.sh": "curl x\n" }, `${exec}${asksForAll}`)).toEqual([]);
});

test("a large file of nothing but openings is read in no time", () => {
  const beganMs = cpuMs();
  for (const opening of ["/*", "`\\", '"\\', "'", "//"]) withoutComments(opening.repeat(2 ** 18));
  expect(cpuMs() - beganMs).toBeLessThan(2_000);
});

test("of a plugin full of findings a hundred are told", async () => {
  expect(await scan({ "index.ts": "fetch(x);\n".repeat(5_000) })).toHaveLength(100);
});
