/** Kept versions and pins: whole or not at all, bounded, and proven before use. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { contentHash } from "../../src/plugins/content-hash.ts";
import { VersionStore } from "../../src/plugins/version-store.ts";
import { pluginFolder } from "./harness.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const exclude = ["data"];
const [hashA, hashB] = ["a".repeat(64), "b".repeat(64)];

function scene() {
  const root = pluginFolder({
    bot: {
      "plugin.yaml": "name: bot\n",
      "run.sh": "#!/bin/sh\necho",
      "src/a.ts": "1",
      "data/log": "1",
      ".env": "X=1",
    },
  });
  roots.push(root);
  const folder = join(root, "bot");
  const place = join(root, "kept");
  let keeps = 0;
  const hash = async () => {
    const result = await contentHash(folder, { exclude });
    if (!result.ok) throw new Error(result.message);
    return result.hash;
  };
  const store = new VersionStore(place);
  const keep = async (inUse: string[] = [], as?: string) =>
    store.keep("bot", folder, as ?? (await hash()), {
      exclude,
      inUse: new Set(inUse),
      nowMs: 1_000 * ++keeps,
    });
  const edit = () => appendFileSync(join(folder, "src/a.ts"), "x");
  return { root, folder, place, store, keep, edit, hash };
}

test("a kept version is a copy that later edits leave alone; data and settings are the plugin's own", async () => {
  const { folder, store, keep, edit, hash } = scene();
  const first = await hash();
  const kept = await keep();
  if (!kept.ok) throw new Error(kept.problem);
  edit();
  expect(readFileSync(join(kept.folder, "src/a.ts"), "utf8")).toBe("1");
  expect(readlinkSync(join(kept.folder, "data"))).toBe(join(folder, "data"));
  expect(readFileSync(join(kept.folder, ".env"), "utf8")).toBe("X=1");
  expect(Bun.spawnSync([join(kept.folder, "run.sh")]).exitCode).toBe(0);
  expect(await store.folderOf("bot", first, exclude)).toEqual(kept);
});

test("a folder for data that is not there yet is made, so that both versions write to one place", async () => {
  const { folder, keep } = scene();
  rmSync(join(folder, "data"), { recursive: true });
  const kept = await keep();
  writeFileSync(join(kept.ok ? kept.folder : "", "data/new"), "1");
  expect(existsSync(join(folder, "data/new"))).toBe(true);
});

test("the newest comes first, three stay, and one in use or pinned is never removed", async () => {
  const { store, keep, edit, hash } = scene();
  const hashes: string[] = [];
  for (let version = 0; version < 6; version++) {
    hashes.unshift(await hash());
    if (version === 1) expect(store.pin("bot", { use: hashes[0] ?? "", insteadOf: hashA }).ok).toBe(true);
    expect((await keep([hashes.at(-1) ?? ""])).ok).toBe(true);
    edit();
  }
  const [sixth, fifth, fourth, , second, first] = hashes;
  expect(store.list("bot").map((each) => each.hash)).toEqual([
    sixth,
    fifth,
    fourth,
    second,
    first,
  ] as string[]);
  expect(store.list("none")).toEqual([]);
  expect(store.list("../bot")).toEqual([]);
});

test("two at a time are kept one after the other, and what an earlier end cut short is cleared away", async () => {
  const { place, store, keep, edit } = scene();
  mkdirSync(join(place, "bot", `.new-${hashB}/src`), { recursive: true });
  const first = await keep();
  edit();
  const both = await Promise.all([keep(), keep()]);
  expect([first, ...both].map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(readdirSync(join(place, "bot"))).toHaveLength(2);
  expect(store.pin("bot", { use: hashA, insteadOf: hashB }).ok).toBe(true);
  expect(store.forget("bot")).toEqual({ ok: true });
  expect([store.list("bot"), store.pinned("bot")]).toEqual([[], null]);
});

test("keeping the same content again makes it the newest and copies nothing", async () => {
  const { folder, store, keep, edit, hash } = scene();
  const first = await hash();
  await keep();
  edit();
  await keep();
  writeFileSync(join(folder, "src/a.ts"), "1");
  await keep();
  expect(store.list("bot").map((each) => each.hash)[0]).toBe(first);
  expect(store.list("bot")).toHaveLength(2);
});

test("a copy that was changed is not used, and is replaced when it is kept again", async () => {
  const { store, keep, hash } = scene();
  const kept = await keep();
  const file = join(kept.ok ? kept.folder : "", "src/a.ts");
  chmodSync(file, 0o644);
  writeFileSync(file, "evil");
  const found = await store.folderOf("bot", await hash(), exclude);
  expect(found.ok ? "" : found.problem).toContain("the kept copy was changed");
  expect(await keep()).toEqual(kept);
  expect((await store.folderOf("bot", await hash(), exclude)).ok).toBe(true);
});

test("content that is another by then, or cannot be written, is not kept, and nothing half is left", async () => {
  const { place, store, keep, root, folder } = scene();
  const wrong = await keep([], hashA);
  expect(wrong.ok ? "" : wrong.problem).toContain("cannot be kept: the content changed meanwhile");
  expect(readdirSync(join(place, "bot"))).toEqual([]);
  expect((await store.keep("../x", folder, hashA, { exclude, inUse: new Set(), nowMs: 1 })).ok).toBe(false);
  symlinkSync("../../elsewhere", join(folder, "src/out"));
  const linked = await keep();
  expect(linked.ok ? "" : linked.problem).toContain("src/out is a link out of the plugin's folder");
  expect(readdirSync(join(place, "bot"))).toEqual([]);
  const blocked = new VersionStore(join(root, "bot/run.sh"));
  const kept = await blocked.keep("bot", folder, hashA, { exclude, inUse: new Set(), nowMs: 1 });
  expect(kept.ok ? "" : kept.problem).toContain("cannot be kept");
  expect(blocked.pin("bot", { use: hashA, insteadOf: hashB })).toMatchObject({ ok: false });
  expect(blocked.pinned("bot")).toBeNull();
});

test.skipIf(process.getuid?.() !== 0)(
  "a full disk keeps nothing of a version, and what was kept before",
  async () => {
    const { place, store, keep, edit, folder } = scene();
    mkdirSync(place);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place]).exitCode).toBe(0);
    try {
      expect((await keep()).ok).toBe(true);
      expect(store.pin("bot", { use: hashA, insteadOf: hashB })).toEqual({ ok: true });
      const [before] = store.list("bot");
      edit();
      writeFileSync(join(folder, "src/large"), "x".repeat(400_000));
      const full = await keep();
      expect(full.ok ? "" : full.problem).toContain("ENOSPC");
      expect(store.list("bot")).toEqual(before ? [before] : []);
      expect(new VersionStore(place).pinned("bot")).toEqual({ use: hashA, insteadOf: hashB });
    } finally {
      Bun.spawnSync(["umount", place]);
    }
  },
);

describe("a pin", () => {
  test("is known after a restart, until it is taken back", () => {
    const { place, store } = scene();
    expect(store.pinned("bot")).toBeNull();
    expect(store.pin("bot", { use: hashA, insteadOf: hashB })).toEqual({ ok: true });
    expect(new VersionStore(place).pinned("bot")).toEqual({ use: hashA, insteadOf: hashB });
    expect(store.unpin("bot")).toEqual({ ok: true });
    expect(new VersionStore(place).pinned("bot")).toBeNull();
    expect(store.unpin("bot")).toEqual({ ok: true });
    expect(store.pin("bot", { use: "x", insteadOf: hashB }).ok).toBe(false);
  });

  test.each([
    ["no JSON", "{{{"],
    ["something else", '{"bot":{"use":"x"}}'],
    ["bytes", "\u0000\u0000"],
  ])("in a damaged file (%s) is told of, and the file is kept for a person", (_, text) => {
    const { place } = scene();
    mkdirSync(place);
    writeFileSync(join(place, "pins.json"), text);
    const store = new VersionStore(place);
    expect(store.pinned("bot")).toBeNull();
    expect(store.damage).toContain("pins.json: damaged");
    expect(store.pin("bot", { use: hashA, insteadOf: hashB })).toEqual({ ok: true });
    expect(readFileSync(join(place, "pins.json.damaged"), "utf8")).toBe(text);
    expect(new VersionStore(place).pinned("bot")?.use).toBe(hashA);
    expect(store.damage).toBeNull();
  });
});
