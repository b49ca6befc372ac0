/** The contract suite itself: it passes what keeps to the contract, and names the check that a deviant fails. */

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CheckResult } from "../../src/plugins/contract/check.ts";
import type { ContractOptions } from "../../src/plugins/contract/options.ts";
import { type ContractReport, checkContract } from "../../src/plugins/contract/suite.ts";
import { freePort } from "../bundled/drive.ts";
import { bunPlugin, clock, execPlugin, pluginFolder, processesOf, selfFromSource } from "./harness.ts";

setDefaultTimeout(40_000);

const examples = resolve(import.meta.dir, "../fixtures/examples");
let roots: string[] = [];
let runs = 0;

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
  roots = [];
});

type Files = Record<string, string>;

/** Writes a plugin, perhaps with others beside it, and yields its folder. */
function written(files: Files, beside: Record<string, Files> = {}): string {
  const root = pluginFolder({ subject: files, ...beside });
  roots.push(root);
  return join(root, "subject");
}

/** Runs the suite, and fails when it leaves a process or a folder behind. */
async function check(folder: string, options: Partial<ContractOptions> = {}): Promise<ContractReport> {
  const runId = `contract-test-${process.pid}-${runs++}`;
  const report = await checkContract({
    folder,
    settings: null,
    config: {},
    type: "message",
    payload: { text: "hello" },
    startTimeoutMs: 3_000,
    graceMs: 1_000,
    clock,
    selfCommand: selfFromSource,
    environment: process.env,
    runId,
    onResult: () => undefined,
    signal: new AbortController().signal,
    ...options,
  });
  expect(processesOf(runId)).toEqual([]);
  expect(readdirSync(tmpdir()).filter((name) => name.includes(runId))).toEqual([]);
  return report;
}

const failures = ({ checks }: ContractReport) =>
  checks.filter(({ outcome }) => outcome === "failed").map(({ name, detail }) => `${name}: ${detail}`);
const skipped = ({ checks }: ContractReport) =>
  checks.filter(({ outcome }) => outcome === "skipped").map(({ name }) => name);
const found = ({ checks }: ContractReport, name: string) => checks.find((each) => each.name === name);

/** A Python plugin that keeps to the contract but for `lines`, which run for each message as `m` before it is answered. */
const python = (lines: string, more = ""): Files => ({
  ...execPlugin("subject", ["python3", "main.py"], `limits: { requestTimeout: 500ms }\n${more}`),
  "main.py": `
import json, os, signal, subprocess, sys, time
def send(**m): print(json.dumps({"jsonrpc": "2.0", **m}), flush=True)
for line in sys.stdin:
    m = json.loads(line); id = m.get("id"); method = m["method"]; request = (m.get("params") or {}).get("request", {})
    result = {"status": "healthy"} if method == "health_check" else {"ok": True}
${lines.replaceAll(/^/gm, "    ")}
    if id is None: continue
    if method in ("initialize", "health_check", "handle_request", "shutdown"): send(id=id, result=result)
    else: send(id=id, error={"code": -32601, "message": "unknown"})
`,
});

/** A Python program that listens on `port` after so many seconds, and does nothing else. */
const listener = (port: number, seconds: number): string =>
  [
    "import socket, time",
    `time.sleep(${seconds})`,
    `listening = socket.create_server(("127.0.0.1", ${port}))`,
    "time.sleep(60)",
  ].join("\n");

describe("what keeps to the contract", () => {
  test.each(["python-echo", "shell-echo", "bun-echo"])("%s passes every check", async (name) => {
    const report = await check(join(examples, name));
    expect(failures(report)).toEqual([]);
    expect([report.plugin, report.ok, report.checks.length, skipped(report)]).toEqual([name, true, 16, []]);
    expect(found(report, "start")?.measured).toEqual({
      startMs: expect.any(Number),
      pssBytes: expect.any(Number),
    });
    expect(found(report, "memory")?.measured).toMatchObject({
      requests: 200,
      afterBytes: expect.any(Number),
    });
  });

  test("a program that is only supervised passes what applies to it", async () => {
    const report = await check(
      written(execPlugin("subject", ["sleep", "300"], "protocol: none\nstart: eager\n")),
    );
    expect(failures(report)).toEqual([]);
    expect(found(report, "stop")?.outcome).toBe("ok");
    expect(report.checks.filter(({ outcome }) => outcome === "ok").map(({ name }) => name)).toEqual([
      "manifest",
      "start",
      "output",
      "stop",
    ]);
  });

  test("a program whose port opens late is asked until it is healthy; one that never opens it fails", async () => {
    const port = await freePort();
    const supervised = (seconds: number): Files => ({
      ...execPlugin(
        "subject",
        ["python3", "-c", listener(port, seconds)],
        `protocol: none\nstart: eager\nhealth: { kind: tcp, port: ${port} }\npermissions: { net: true }\n`,
      ),
    });
    expect(found(await check(written(supervised(0.4))), "health")).toMatchObject({
      outcome: "ok",
      detail: `healthy: port ${port} accepts connections`,
    });
    const never = await check(written(supervised(60)), { startTimeoutMs: 500 });
    expect(failures(never)).toEqual([expect.stringMatching(/^health: /)]);
  });

  test("a plugin that requires another one is run with it, from beside it", async () => {
    const report = await check(
      written(python("", "requires: [base@^1]\n"), {
        base: execPlugin("base", ["python3", "../subject/main.py"]),
        other: { "plugin.yaml": "name: other\nruntime: steam\n" },
      }),
    );
    expect(failures(report)).toEqual([]);
  });

  test("a plugin that needs settings gets them, by itself or by its name", async () => {
    const folder = written(
      bunPlugin(
        "subject",
        'export default definePlugin({ initialize: (config) => { if (config.port !== 0) throw new Error("port?"); } });',
      ),
    );
    expect(failures(await check(folder))[0]).toBe(
      "initialize: with config {} plugin-error: port?; give it its settings with --config-json",
    );
    expect((await check(folder, { settings: { port: 0 } })).ok).toBe(true);
    expect((await check(folder, { config: { subject: { port: 0 } } })).ok).toBe(true);
  });

  test("errors are answers too, and one that is unhealthy says so in the right shape", async () => {
    const report = await check(
      written(
        python(`
if method == "handle_request": send(id=id, error={"code": -1, "message": "not today"}); continue
if method == "health_check": result = {"status": "unhealthy", "detail": "plug it in"}`),
      ),
    );
    expect(failures(report)).toEqual([]);
    expect(found(report, "request")?.detail).toBe("answered with an error: not today");
    expect(found(report, "health")?.detail).toBe("unhealthy: plug it in");
  });
});

describe("a deviant fails its check, which says what was seen", () => {
  const deviants: [string, Files, RegExp[]][] = [
    [
      "with a broken manifest",
      { "plugin.yaml": "name: subject\nversion: one\n" },
      [/^manifest: .*subject\/plugin\.yaml:2: version: "one": expected/],
    ],
    ["without a manifest", { "README.md": "" }, [/^manifest: .*\/subject: no plugin\.yaml in it/]],
    [
      "that has no program",
      execPlugin("subject", ["no-such-program-here"]),
      [/^(manifest|initialize): .*no-such-program-here/],
    ],
    [
      "that ends when it is initialized",
      python("if method == 'initialize': sys.exit(3)"),
      [/^initialize: with config \{\} crashed: it ended with exit code 3$/],
    ],
    [
      "that answers what it does not know",
      python(
        "if method not in ('initialize', 'health_check', 'shutdown', 'handle_request') and id: send(id=id, result=1); continue",
      ),
      [/^unknown-method: answered 1; expected the error -32601/],
    ],
    [
      "that answers notices",
      python("if id is None: send(id=None, result=1)"),
      [/^unknown-notice: it answered a notice/],
    ],
    [
      "that dies of a notice",
      python("if id is None: sys.exit(4)"),
      [/^unknown-notice: .*crashed: it ended with exit code 4/],
    ],
    [
      "with a health of its own shape",
      python("if method == 'health_check': result = 'fine'"),
      [/^health: protocol: health_check answered "fine": expected/],
    ],
    [
      "that answers no request",
      python("if method == 'handle_request': continue"),
      [
        /^cancelled: /,
        /^request: timeout/,
        /^concurrent: of 8 requests at once 8 had no answer \(timeout/,
        /^nested-payload: /,
        /^large-payload: /,
        /^unknown-type: /,
        /^memory: /,
      ],
    ],
    [
      "that answers under another id",
      python("if method == 'handle_request': id = id - 1"),
      [
        /^cancelled: /,
        /^request: timeout/,
        /^concurrent: /,
        /^nested-payload: /,
        /^large-payload: /,
        /^unknown-type: /,
        /^memory: /,
        /^output: 0 lines or frames that are no message, [1-9]/,
      ],
    ],
    [
      "that answers twice",
      python("if method == 'handle_request': send(id=id, result=1)"),
      [
        /^concurrent: of 8 requests at once 0 had no answer; [1-9]\d* answers had an id/,
        /^output: .*answers to nothing/,
      ],
    ],
    [
      "that answers over 1 MB",
      python(
        "if method == 'handle_request' and request['type'].startswith('conductor'): result = 'x' * 2**21",
      ),
      [/^unknown-type: protocol: the answer has 20971\d\d bytes: expected at most/, /^output: 1 lines/],
    ],
    [
      "that dies of a type that it does not know",
      python("if request.get('type', '').startswith('conductor'): sys.exit(5)"),
      [/^unknown-type: (crashed|it ended): exited with code 5$/],
    ],
    [
      "that prints",
      python("if method == 'handle_request': print('working on it')"),
      [/^output: [1-9]\d* lines or frames that are no message.*"working on it".*; write to stderr/],
    ],
    [
      "that ignores its end",
      python("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif method == 'shutdown': time.sleep(60)"),
      [/^shutdown: timeout/, /^stop: did not end after shutdown and TERM within its 1 s, and was killed$/],
    ],
    [
      "that leaves a process",
      python(
        "if method == 'initialize': subprocess.Popen(['sh', '-c', \"trap '' TERM; while :; do sleep 300; done\"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)",
      ),
      [/^stop: left [1-9] processes behind, which had to be killed$/],
    ],
    [
      "whose module does not load",
      bunPlugin("subject", "throw new Error('broken module');"),
      [/^initialize: .*index\.ts does not load: broken module/],
    ],
  ];
  test.each(deviants)(
    "one %s",
    async (_, files, expected) => {
      const report = await check(written(files));
      expect(report.ok).toBe(false);
      const failed = failures(report);
      expect(failed).toEqual(expected.map((pattern) => expect.stringMatching(pattern)) as string[]);
    },
    40_000,
  );

  test("one that requires what is nowhere", async () => {
    const report = await check(written(python("", "requires: [nowhere@^1]\n")));
    expect(failures(report)).toEqual([expect.stringMatching(/^start: .*nowhere.*not found/)]);
    expect(skipped(report)).toEqual(expect.arrayContaining(["health", "request", "stop"]));
  });
});

test("interrupted, it skips what remains, is not ok, and has told each result as it came", async () => {
  const abort = new AbortController();
  const told: CheckResult[] = [];
  const report = await check(join(examples, "python-echo"), {
    signal: abort.signal,
    onResult: (result) => {
      told.push(result);
      if (result.name === "start") abort.abort();
    },
  });
  expect(report.ok).toBe(false);
  expect(told).toEqual(report.checks);
  expect(
    report.checks.slice(7).every(({ outcome, detail }) => `${outcome} ${detail}` === "skipped interrupted"),
  ).toBe(true);
});
