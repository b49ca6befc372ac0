/** Finding plugins: what is broken is listed, and stops nothing else. */

import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sortDependencies } from "../../src/plugins/dependencies.ts";
import { discover } from "../../src/plugins/discovery.ts";
import { cpuMs } from "./cpu-time.ts";
import { pluginFolder } from "./harness.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const folderOf = (plugins: Record<string, Record<string, string>>): string => {
  const root = pluginFolder(plugins);
  roots.push(root);
  return root;
};

const manifest = (name: string) => `name: ${name}\nversion: 1.0.0\nruntime: exec\ncommand: [sleep]\n`;
const plugin = (name: string) => ({ "plugin.yaml": manifest(name) });

test("each folder with a plugin.yaml is a plugin, in the order of names; others are none", async () => {
  const root = folderOf({
    b: plugin("b"),
    a: plugin("a"),
    notes: { "readme.txt": "" },
    ".hidden": plugin("hidden"),
  });
  writeFileSync(join(root, "file"), "");
  const { plugins, errors } = await discover([root], []);
  expect(plugins.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(errors).toEqual([]);
});

test("a broken manifest is listed with its errors, and the others are found", async () => {
  const root = folderOf({
    good: plugin("good"),
    bad: { "plugin.yaml": "name: bad\nversion: x\n" },
    worse: { "plugin.yaml": "{{{" },
    huge: { "plugin.yaml": `# ${"x".repeat(64 * 1024)}` },
    odd: { "plugin.yaml/x": "" },
  });
  const { plugins } = await discover([root], []);
  const found = Object.fromEntries(
    plugins.map(({ name, manifest: it, errors }) => [name, it ? "ok" : errors[0]]),
  );
  expect(found.good).toBe("ok");
  expect(found.bad).toContain("version");
  expect(found.worse).toContain("worse/plugin.yaml:1:");
  expect(found.huge).toContain("expected at most 65536");
  expect(found.odd).toContain("expected a file");
});

test("a missing folder and a folder that is a file are errors with a remedy", async () => {
  const root = folderOf({ a: plugin("a") });
  const { plugins, errors } = await discover(["/no/such/folder", join(root, "a/plugin.yaml"), root], []);
  expect(plugins).toHaveLength(1);
  expect(errors).toEqual([
    { code: "folder-missing", message: "/no/such/folder: no such folder; create it or correct plugins.dirs" },
    { code: "folder-unreadable", message: `${root}/a/plugin.yaml: is no folder; correct plugins.dirs` },
  ]);
});

test.skipIf(process.getuid?.() === 0)("an unreadable folder is an error with a remedy", async () => {
  const root = folderOf({ a: plugin("a") });
  chmodSync(root, 0o000);
  const { errors } = await discover([root], []);
  chmodSync(root, 0o755);
  expect(errors[0]?.message).toContain("may not be read by this user");
});

test("of two plugins of one name the first is used, the second is invalid, and both places are named", async () => {
  const root = folderOf({ a: plugin("bot"), b: plugin("bot") });
  const { plugins, errors } = await discover(
    [root],
    [{ name: "bot", manifestText: "name: bot\nversion: 1.0.0\n" }],
  );
  expect(plugins.map(({ name, manifest: it }) => [name, it !== null])).toEqual([
    ["bot", true],
    ["bot~2", false],
    ["bot~3", false],
  ]);
  expect(errors.map(({ code }) => code)).toEqual(["duplicate-name", "duplicate-name"]);
  expect(errors[0]?.message).toBe(
    `two plugins are called "bot": ${root}/a is used, ${root}/b is not; rename or remove one`,
  );
});

test("a broken manifest never takes the name of one that works", async () => {
  const root = folderOf({
    a: { "plugin.yaml": "name: bot\nversion: x\n" },
    BOT: { "plugin.yaml": "{{{" },
    z: plugin("bot"),
  });
  const { plugins } = await discover([root], []);
  expect(plugins.filter(({ name }) => name === "bot").map(({ manifest: it }) => it !== null)).toEqual([true]);
  expect(plugins).toHaveLength(3);
});

test("a plugin folder may be a link", async () => {
  const elsewhere = folderOf({ real: plugin("bot") });
  const root = folderOf({});
  symlinkSync(join(elsewhere, "real"), join(root, "bot"));
  expect((await discover([root], [])).plugins.map(({ name }) => name)).toEqual(["bot"]);
});

test("a thousand manifests take less than a second of CPU time", async () => {
  const root = folderOf(
    Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`p${n}`, plugin(`p${n}`)])),
  );
  const beganMs = cpuMs();
  expect((await discover([root], [])).plugins.every(({ manifest: it }) => it !== null)).toBe(true);
  expect(cpuMs() - beganMs).toBeLessThan(1_000);
});

describe("requirements", () => {
  const node = (name: string, ...requires: string[]) => ({
    name,
    version: "1.2.0",
    requires: requires.map((text) => {
      const [required = "", range = "*"] = text.split("@");
      return { name: required, range };
    }),
  });

  test("come first, and ties are by name", () => {
    const { order, errors } = sortDependencies([
      node("d", "b", "c"),
      node("c", "a"),
      node("b", "a"),
      node("a"),
      node("0"),
    ]);
    expect(errors.size).toBe(0);
    expect(order).toEqual(["0", "a", "b", "c", "d"]);
  });

  test("that form a cycle are an error that prints the chain, and only those in it and behind it fail", () => {
    const { order, errors } = sortDependencies([
      node("a", "b"),
      node("b", "c"),
      node("c", "a"),
      node("d", "a"),
      node("e"),
    ]);
    expect(order).toEqual(["e"]);
    expect(errors.get("a")).toBe("requires itself: a -> b -> c -> a; remove one of these");
    expect(errors.get("d")).toBe("requires a, which cannot start: d -> a -> b -> c -> a, a cycle");
  });

  test("that are missing further on are told with the chain that leads there", () => {
    const { order, errors } = sortDependencies(
      [
        node("a", "b"),
        node("b", "c"),
        node("c", "none"),
        node("d", "e"),
        node("e", "f@^2"),
        node("f"),
        node("g", "broken"),
      ],
      new Set(["broken"]),
    );
    expect(order).toEqual(["f"]);
    expect(errors.get("a")).toBe("requires b, which cannot start: a -> b -> c -> none, which was not found");
    expect(errors.get("d")).toBe("requires e, which cannot start: d -> e -> f@^2, but f is 1.2.0");
    expect(errors.get("g")).toBe("requires broken, which is invalid");
  });

  test("of ten thousand plugins are sorted in less than two seconds of CPU time: chains, cycles, and all behind one", () => {
    const many = 10_000;
    const names = Array.from({ length: many }, (_, n) => `p${n}`);
    const chain = names.map((name, n) => (n === 0 ? node(name) : node(name, `p${n - 1}`)));
    const ring = names.map((name, n) => node(name, `p${(n + 1) % many}`));
    const behind = names.map((name, n) => node(name, n === 0 ? "none" : `p${n - 1}`));
    const beganMs = cpuMs();
    expect(sortDependencies(chain).order).toEqual(names);
    const cycle = sortDependencies(ring).errors;
    expect(cycle.size).toBe(many);
    expect(cycle.get("p5")).toContain("9991 more");
    expect(sortDependencies(behind).errors.get("p9999")).toContain("p9999 -> p9998 -> ");
    expect(cpuMs() - beganMs).toBeLessThan(2_000);
  });

  test("that are missing or of another version are errors", () => {
    const { errors } = sortDependencies([
      node("a", "none"),
      node("b", "c@^2"),
      node("c"),
      node("d", "c@^1.1"),
      node("e", "e"),
    ]);
    expect([...errors]).toEqual([
      ["a", "requires none, which was not found; install it or remove it from requires"],
      ["b", "requires c@^2, but c is 1.2.0"],
      ["e", "requires itself: e -> e; remove one of these"],
    ]);
  });
});
