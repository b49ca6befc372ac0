/** plugin.yaml: what is accepted, what it becomes, and every mistake with its place. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsStrictParser } from "../../src/plugins/duplicate-keys.ts";
import { parseManifest } from "../../src/plugins/manifest.ts";
import { cpuMs } from "./cpu-time.ts";

let folder = "";

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-manifest-")));
  mkdirSync(join(folder, "sub"));
  for (const file of ["index.ts", "sub/main.ts", "run.sh", "plain.txt"])
    writeFileSync(join(folder, file), "");
  chmodSync(join(folder, "run.sh"), 0o755);
  chmodSync(join(folder, "plain.txt"), 0o644);
  symlinkSync("/etc/hostname", join(folder, "out.ts"));
  symlinkSync("sub/main.ts", join(folder, "in.ts"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (text: string) => parseManifest(text, "p/plugin.yaml", folder);
const head = "name: bot\nversion: 1.2.0\n";

async function errorsOf(text: string): Promise<string[]> {
  const parsed = await parse(text);
  return parsed.ok ? [] : parsed.errors;
}

test("the smallest manifest has every default", async () => {
  const parsed = await parse(head);
  expect(parsed.ok && parsed.manifest).toMatchObject({
    name: "bot",
    version: "1.2.0",
    platform: "bot",
    runtime: "bun",
    entry: "index.ts",
    start: "eager",
    instances: 1,
    requires: [],
    limits: {
      memoryBytes: null,
      cpuCores: null,
      processes: 512,
      openFiles: 4_096,
      concurrency: 16,
      queue: 256,
      logBytesPerSecond: 65_536,
      requestTimeoutMs: 5_000,
    },
    permissions: { env: [], net: false, write: [], devices: [], sandbox: "auto" },
    trust: false,
    health: { kind: "call" },
    recovery: {
      restart: "always",
      backoff: { initial: 1_000, max: 60_000 },
      maxRestarts: { count: 5, windowMs: 600_000 },
      stable: 60_000,
    },
  });
});

test("a full manifest is read in bytes, milliseconds and ranges", async () => {
  const parsed = await parse(`name: discord
version: 1.2.0-rc.1
platform: chat
runtime: exec
command: [./run.sh, "--fast"]
protocol: jsonrpc
start: lazy
instances: 1
requires: [stubs@^1, other]
routes: [{ match: "*" }]
limits: { memory: 512MiB, cpu: 0.5, concurrency: 8, requestTimeout: 5s }
permissions: { env: [DISCORD_TOKEN], net: true, write: [data] }
health: { kind: http, port: 8080, path: /healthz }
recovery: { restart: on-failure, backoff: { initial: 100ms, max: 2m }, maxRestarts: 3 per 1h }
`);
  expect(parsed.ok && parsed.manifest).toMatchObject({
    command: ["./run.sh", "--fast"],
    platform: "chat",
    requires: [
      { name: "stubs", range: "^1" },
      { name: "other", range: "*" },
    ],
    limits: { memoryBytes: 512 * 2 ** 20, cpuCores: 0.5, concurrency: 8, requestTimeoutMs: 5_000 },
    health: { kind: "http", port: 8080, path: "/healthz" },
    recovery: { backoff: { initial: 100, max: 120_000 }, maxRestarts: { count: 3, windowMs: 3_600_000 } },
  });
});

test("a program without a protocol has no health call unless told otherwise", async () => {
  const parsed = await parse(`${head}runtime: exec\ncommand: [sleep, "1"]\nprotocol: none\n`);
  expect(parsed.ok && parsed.manifest).toMatchObject({ health: { kind: "none" }, start: "eager" });
});

describe("a mistake names its line, key, value, and what is allowed", () => {
  test.each([
    ["unknown key", `${head}entri: index.ts\n`, 'p/plugin.yaml:3: entri: unknown key; did you mean "entry"?'],
    [
      "unknown key inside",
      `${head}limits: { memroy: 1GiB }\n`,
      'limits.memroy: unknown key; did you mean "memory"?',
    ],
    [
      "no unit",
      `${head}limits: { memory: 512 }\n`,
      "limits.memory: 512: expected a text with a unit, such as 512MiB",
    ],
    [
      "wrong unit",
      `${head}limits:\n  requestTimeout: 5sec\n`,
      'p/plugin.yaml:4: limits.requestTimeout: "5sec": unknown unit',
    ],
    ["name", `name: Bot\nversion: 1.0.0\n`, 'name: "Bot": expected a name of a-z'],
    [
      "version as a number",
      "name: bot\nversion: 1.10\n",
      "version: 1.1: expected a semantic version in quotes",
    ],
    ["runtime", `${head}runtime: deno\n`, 'runtime: "deno": expected one of bun, exec'],
    ["instances", `${head}instances: 65\n`, "instances: 65: expected a whole number from 1 to 64"],
    [
      "idleStop of an eager one",
      `${head}idleStop: 5m\n`,
      'idleStop: "5m": expected none without start: lazy',
    ],
    ["a hash that is none", `${head}sha256: abc\n`, 'sha256: "abc": expected the 64 hex digits'],
    ["requires", `${head}requires: [stubs@one]\n`, 'requires[0]: "stubs@one": expected a plugin'],
    [
      "maxRestarts",
      `${head}recovery: { maxRestarts: often }\n`,
      'recovery.maxRestarts: "often": expected a count in a time',
    ],
    [
      "backoff",
      `${head}recovery: { backoff: { initial: 2m, max: 1m } }\n`,
      "expected at most recovery.backoff.max",
    ],
    ["exec without command", `${head}runtime: exec\n`, "command: nothing: expected a command"],
    ["command of bun", `${head}command: [sleep]\n`, "did you mean runtime: exec?"],
    [
      "lazy without protocol",
      `${head}runtime: exec\ncommand: [sleep]\nprotocol: none\nstart: lazy\n`,
      'start: "lazy": expected eager',
    ],
    ["http without port", `${head}health: { kind: http }\n`, "health.port: nothing: expected a port"],
    [
      "environment name",
      `${head}permissions: { env: ["A=B"] }\n`,
      'permissions.env[0]: "A=B": expected the name of an environment variable',
    ],
    ...["/etc/passwd", "/dev/", "/dev/../etc", "/dev/snd/..", "snd"].map((path): [string, string, string] => [
      `device ${path}`,
      `${head}permissions: { devices: [${path}] }\n`,
      `permissions.devices[0]: "${path}": expected a path below /dev, such as "/dev/snd"`,
    ]),
    [
      "entry that is missing",
      `${head}entry: none.ts\n`,
      'p/plugin.yaml:3: entry: "none.ts": no such file in the plugin\'s folder',
    ],
    ["entry outside", `${head}entry: ../index.ts\n`, "leaves the plugin's folder"],
    ["entry outside on a detour", `${head}entry: sub/../../x.ts\n`, "leaves the plugin's folder"],
    ["absolute entry", `${head}entry: /etc/hostname\n`, "not an absolute one"],
    ["entry by a link outside", `${head}entry: out.ts\n`, "is a link out of the plugin's folder"],
    ["entry that is a folder", `${head}entry: sub\n`, "expected a file"],
    ["command outside", `${head}runtime: exec\ncommand: [../run.sh]\n`, "leaves the plugin's folder"],
    ["command that may not run", `${head}runtime: exec\ncommand: [./plain.txt]\n`, "may not be executed"],
    ["absolute command that is missing", `${head}runtime: exec\ncommand: [/no/such]\n`, "no such program"],
    ["repeated key", `${head}version: 2.0.0\n`, "p/plugin.yaml:3:"],
    ["repeated key inside", `${head}limits: { cpu: 1, cpu: 2 }\n`, "p/plugin.yaml:3:"],
    ["two documents", `${head}---\nname: b\n`, "p/plugin.yaml:"],
    ["no mapping", "- a\n- b\n", "expected a mapping of keys"],
    ["empty", "", "name: nothing: expected a text"],
    ["syntax", `${head}requires: [a\nlimits: {\n`, "p/plugin.yaml:"],
  ])("%s", async (_, text, expected) => {
    expect((await errorsOf(text)).join("\n")).toContain(expected);
  });

  test("and all of them are told at once, in the order of the file", async () => {
    const errors = await errorsOf("name: Bot\nversion: x\nentri: a\nlimits: { concurrency: 0 }\n");
    expect(errors.map((error) => error.split(" ")[1])).toEqual([
      "name:",
      "version:",
      "entri:",
      "limits.concurrency:",
    ]);
  });
});

test("links and folders inside the plugin's folder are fine", async () => {
  for (const entry of ["in.ts", "sub/main.ts", "./index.ts", "sub/../index.ts"])
    expect(await errorsOf(`${head}entry: ${entry}\n`)).toEqual([]);
});

test("aliases that multiply are refused, and soon", async () => {
  const lines = ["a: &a [x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 12; level++) {
    const [name, before] = [String.fromCharCode(97 + level), String.fromCharCode(96 + level)];
    lines.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(", ")}]`);
  }
  const beganMs = cpuMs();
  expect(
    (await errorsOf(`${head}routes:\n${lines.map((line) => `  ${line}`).join("\n")}\n`)).length,
  ).toBeGreaterThan(0);
  expect(cpuMs() - beganMs).toBeLessThan(1_000);
});

test.each([
  ["plain", "a: 1\nb:\n  a: 2\nc:\n  - a: 1\n    b: 2\n  - a: 1\n", false],
  ["repeated", "a: 1\nb: 2\na: 3\n", true],
  ["repeated below", "x:\n  a: 1\n  a: 2\n", true],
  ["same key in different mappings", "x:\n  a: 1\ny:\n  a: 2\n", false],
  ["quoted", '"a": 1\na: 2\n', true],
  ["flow", "x: { a: 1, a: 2 }\n", true],
])("the quick look at %s keys", (_, text, expected) => {
  expect(needsStrictParser(text)).toBe(expected);
});
