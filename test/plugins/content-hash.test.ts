/** A plugin's content as a hash: what changes it and what does not. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { contentFingerprint, contentHash } from "../../src/plugins/content-hash.ts";
import { discover, PluginScanner } from "../../src/plugins/discovery.ts";
import { pluginFolder } from "./harness.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const manifest = "name: bot\nversion: 1.0.0\npermissions: { write: [data] }\n";

function bot(): string {
  const root = pluginFolder({
    bot: {
      "plugin.yaml": manifest,
      "index.ts": "export default {};",
      "src/a.ts": "a",
      "src/run.sh": "echo",
      "data/log.txt": "1",
      "node_modules/left/index.js": "left",
      ".env": "SECRET=1",
      "__pycache__/a.pyc": "x",
    },
  });
  roots.push(root);
  return join(root, "bot");
}

async function hashOf(folder: string): Promise<string> {
  const result = await contentHash(folder, { exclude: ["./data/"] });
  if (!result.ok) throw new Error(result.message);
  return result.hash;
}

test("the hash is the same for the same content, wherever and whenever it was written", async () => {
  const [one, two] = [bot(), bot()];
  utimesSync(join(two, "index.ts"), 1, 1);
  expect(await hashOf(one)).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf(one)).toBe(await hashOf(two));
});

describe("another hash comes from", () => {
  test.each<[string, (folder: string) => void]>([
    ["an edit", (folder) => appendFileSync(join(folder, "src/a.ts"), "b")],
    ["an edit of the same length", (folder) => writeFileSync(join(folder, "src/a.ts"), "b")],
    ["a new file", (folder) => writeFileSync(join(folder, "src/b.ts"), "")],
    ["another name", (folder) => renameSync(join(folder, "src/a.ts"), join(folder, "src/c.ts"))],
    ["the right to run", (folder) => chmodSync(join(folder, "src/run.sh"), 0o644)],
    ["a link", (folder) => symlinkSync("a.ts", join(folder, "src/link.ts"))],
    ["a package", (folder) => appendFileSync(join(folder, "node_modules/left/index.js"), "x")],
    [
      "a package in a store with a dot",
      (folder) => {
        mkdirSync(join(folder, "node_modules/.pnpm"));
        writeFileSync(join(folder, "node_modules/.pnpm/x.js"), "x");
      },
    ],
    ["another manifest", (folder) => appendFileSync(join(folder, "plugin.yaml"), "start: lazy\n")],
    ["more than a pin in its line", (folder) => appendFileSync(join(folder, "plugin.yaml"), "sha256: x\n")],
  ])("%s", async (_, change) => {
    const folder = bot();
    const before = await hashOf(folder);
    change(folder);
    expect(await hashOf(folder)).not.toBe(before);
  });
});

describe("the same hash stays with", () => {
  test.each<[string, (folder: string) => void]>([
    ["what the plugin writes", (folder) => appendFileSync(join(folder, "data/log.txt"), "2")],
    ["names with a dot", (folder) => appendFileSync(join(folder, ".env"), "2")],
    ["caches", (folder) => appendFileSync(join(folder, "__pycache__/a.pyc"), "2")],
    [
      "a pin",
      (folder) => appendFileSync(join(folder, "plugin.yaml"), `sha256: ${"0".repeat(64)} # pinned\n`),
    ],
    [
      "a pin in front, in quotes",
      (folder) => writeFileSync(join(folder, "plugin.yaml"), `sha256: "${"a".repeat(64)}"\n${manifest}`),
    ],
  ])("%s", async (_, change) => {
    const folder = bot();
    const before = await hashOf(folder);
    change(folder);
    expect(await hashOf(folder)).toBe(before);
  });
});

test("too much is an error that names the limit, and is not read", async () => {
  const folder = bot();
  writeFileSync(join(folder, "model.bin"), "");
  truncateSync(join(folder, "model.bin"), 65 * 2 ** 20);
  const large = await contentHash(folder, { exclude: ["data"] });
  expect(large).toMatchObject({ ok: false, code: "too-large" });
  expect(large.ok ? "" : large.message).toContain("more than 67108864 bytes; keep data in a folder");
  expect((await contentHash(folder, { exclude: ["data", "model.bin"] })).ok).toBe(true);
  mkdirSync(join(folder, "many"));
  for (let n = 0; n <= 5_000; n++) writeFileSync(join(folder, `many/${n}`), "");
  const many = await contentHash(folder, { exclude: ["data", "model.bin"] });
  expect(many.ok ? "" : many.message).toContain("more than 5000 files");
  expect(await contentHash(join(folder, "none"), { exclude: [] })).toMatchObject({ code: "unreadable" });
}, 20_000);

test("a pipe in the folder is not waited for", async () => {
  const folder = bot();
  const before = await hashOf(folder);
  expect(Bun.spawnSync(["mkfifo", join(folder, "src/pipe")]).exitCode).toBe(0);
  expect(await hashOf(folder)).toBe(before);
});

test("the fingerprint tells a change without reading, and leaves packages out", () => {
  const folder = bot();
  const of = () => contentFingerprint(folder, { exclude: ["data"], nodeModules: false });
  const before = of();
  expect(of()).toEqual(before);
  appendFileSync(join(folder, "node_modules/left/index.js"), "x");
  appendFileSync(join(folder, "data/log.txt"), "x");
  expect(of()).toEqual(before);
  writeFileSync(join(folder, "src/a.ts"), "b");
  expect(of()).not.toEqual(before);
});

test("a pinned plugin is valid with that content and invalid with another, and both hashes are told", async () => {
  const folder = bot();
  writeFileSync(join(folder, "index.ts"), "export default {};\n");
  const hash = await hashOf(folder);
  appendFileSync(join(folder, "plugin.yaml"), `sha256: ${hash}\n`);
  const scanner = new PluginScanner({ dirs: [join(folder, "..")], bundled: [], searchPath: null });
  expect((await scanner.scan()).plugins[0]).toMatchObject({ errors: [], changed: true });
  expect((await scanner.scan()).plugins[0]).toMatchObject({ errors: [], changed: false });
  appendFileSync(join(folder, "node_modules/left/index.js"), "evil");
  const [found] = (await scanner.scan()).plugins;
  expect(found).toMatchObject({ manifest: null, changed: true });
  expect(found?.errors[0]).toContain(
    `sha256: the folder's content is ${await hashOf(folder)}, the manifest pins ${hash}; `,
  );
  writeFileSync(join(folder, "node_modules/left/index.js"), "left");
  expect((await discover([join(folder, "..")], [])).plugins[0]?.errors).toEqual([]);
});

test("a link out of the folder is named, and makes a pin void: what it leads to is not in the hash", async () => {
  const folder = bot();
  writeFileSync(join(folder, "index.ts"), "export default {};\n");
  symlinkSync("a.ts", join(folder, "src/inside.ts"));
  expect(await contentHash(folder, { exclude: ["data"] })).toMatchObject({ ok: true, linkOut: null });
  symlinkSync("../../elsewhere", join(folder, "src/out.ts"));
  expect(await contentHash(folder, { exclude: ["data"] })).toMatchObject({ linkOut: "src/out.ts" });
  appendFileSync(join(folder, "plugin.yaml"), `sha256: ${await hashOf(folder)}\n`);
  expect((await discover([join(folder, "..")], [])).plugins[0]?.errors[0]).toContain(
    "sha256: src/out.ts is a link out of the plugin's folder, which no pin covers",
  );
});
