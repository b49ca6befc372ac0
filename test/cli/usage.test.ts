/** Help, version, usage errors: what a person sees who does not know the program yet. */

import { describe, expect, test } from "bun:test";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";

const defer = cleanUpAfterEach();
const commands = [
  "serve",
  "init",
  "check",
  "status",
  "plugins",
  "models",
  "events",
  "why",
  "evaluate",
  "shadow",
  "audit",
  "dead-letters",
  "forecast",
  "preflight",
  "replay",
  "compare",
  "routes",
  "bench",
  "drill",
  "doctor",
  "schema",
];

describe("help", () => {
  test.each([["--help"], ["-h"], ["help"]])("%s lists every command in a line each", async (flag) => {
    const { code, out, err } = await conductor([flag], { cwd: scratchFolder(defer) });
    expect([code, err]).toEqual([0, ""]);
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command} +[A-Z].{10,80}$`, "m"));
    expect(out).toContain("Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration");
  });

  test.each(commands)("%s --help says what it does and every flag", async (command) => {
    const cwd = scratchFolder(defer);
    const asked = await conductor([command, "--help"], { cwd });
    expect([asked.code, asked.err]).toEqual([0, ""]);
    expect(asked.out).toMatch(new RegExp(`^[A-Z].+\n\nusage: conductor ${command}`));
    const [usage = ""] = /^usage: .*$/m.exec(asked.out) ?? [];
    for (const [, flag] of usage.matchAll(/(--[a-z]+|-o)/g))
      expect(asked.out).toMatch(new RegExp(`^ +.*${flag}\\b`, "m"));
    expect((await conductor(["help", command], { cwd })).out).toBe(asked.out);
  });
});

test.each([["version"], ["--version"], ["-V"]])("%s prints version and commit", async (flag) => {
  const { code, out } = await conductor([flag], { cwd: scratchFolder(defer) });
  expect(out).toMatch(/^conductor \d+\.\d+\.\d+ \([0-9a-f]{7,40}|unknown\)\n$/);
  expect(code).toBe(0);
});

test.each([
  [["statsu"], 'statsu: unknown command; did you mean "status"?'],
  [["frobnicate"], "frobnicate: unknown command; see conductor --help"],
  [["help", "frobnicate"], "frobnicate: unknown command; see conductor --help"],
  [["check", "--confg", "x"], "--confg: unknown option; did you mean --config?"],
  [["status", "-x"], "Unknown option '-x'; see conductor status --help"],
  [["status", "now"], "now: unexpected argument; usage: conductor status [--port PORT] [-o json]"],
  [["status", "-o", "xml"], "-o xml: expected json or text"],
  [
    ["plugins", "halt", "voice"],
    "halt: expected one of enable, disable, restart, reload, rollback, scale, logs, new, test",
  ],
  [["plugins", "restart"], "restart: expected the name of a plugin"],
  [["models", "lod", "large"], 'lod: did you mean "load"?'],
  [["models", "pin"], "pin: expected the name of a model"],
  [["shadow", "promot", "late"], 'promot: did you mean "promote"?'],
  [["shadow", "promote"], "promote: expected the name of a shadow policy"],
  [["shadow", "rollback", "late"], "late: unexpected argument"],
  [["shadow", "compare", "--since", "soon"], '--since soon: expected a number with a unit, such as "30s"'],
  [["schema", "tables"], "tables: expected one of conductor, plugin"],
  [["drill", "flood"], "flood: expected one of leak, step, burst, sawtooth, all"],
  [["drill", "--size", "1MiB"], "--size 1MiB: expected 48.0 MiB to 4.00 GiB"],
  [["drill", "--policy", "none"], "--policy none: expected mission or adaptive"],
  [["serve", "--port"], "Option '-p, --port <value>' argument missing; see conductor serve --help"],
])("%j is wrong usage: one line, exit 2", async (args, line) => {
  const { code, out, err } = await conductor(args, { cwd: scratchFolder(defer) });
  expect(err).toBe(`conductor: ${line}\n`);
  expect([code, out]).toEqual([2, ""]);
});

test.each([
  [["status"]],
  [["plugins"]],
  [["models"]],
  [["models", "pin", "large"]],
  [["why"]],
  [["forecast"]],
  [["plugins", "restart", "voice"]],
])("%j without a running conductor says so, and what to do", async (args) => {
  const { code, out, err } = await conductor([...args, "--port", "9"], { cwd: scratchFolder(defer) });
  expect(err).toBe(
    'conductor: no conductor answers at http://127.0.0.1:9 (connection refused); start one with "conductor serve", or say with --config or --port which one you mean\n',
  );
  expect([code, out]).toEqual([1, ""]);
});
