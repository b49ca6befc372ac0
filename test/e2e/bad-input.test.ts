/** What a person gets wrong: one clear line a problem on stderr, with the remedy, and the right exit code. */

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "./clean-up.ts";
import { conductor as run } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, writeFiles } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

const busy = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
afterAll(() => busy.stop(true));

interface Mistake {
  what: string;
  args?: string[];
  config?: string;
  files?: Record<string, string>;
  environment?: Record<string, string>;
  prepare?: (folder: string) => void;
  code: 1 | 2;
  /** One for each line on stderr. FOLDER is the working directory. */
  problems: (string | RegExp)[];
}

const mistakes: Mistake[] = [
  {
    what: "malformed YAML",
    config: "scaler:\n  shed: 80%\n bad: [\n",
    code: 2,
    problems: [/^conductor\.yaml:3:\d+: /, /^conductor\.yaml:\d+:\d+: /],
  },
  {
    what: "unknown keys, with the nearest known one",
    config: "scaler: { shedd: 80% }\nhtpp: {}\n",
    code: 2,
    problems: [
      'conductor.yaml:1: scaler.shedd: unknown key; did you mean "shed"?',
      'conductor.yaml:2: htpp: unknown key; did you mean "http"?',
    ],
  },
  {
    what: "wrong units, all at once",
    config: "budget: { memory: 12 }\nmonitor: { interval: 30sec }\nscaler: { shed: 0.8 }\n",
    code: 2,
    problems: [
      /^conductor\.yaml:1: budget\.memory: 12: expected a text with a unit, such as /,
      /^conductor\.yaml:2: monitor\.interval: "30sec": unknown unit "sec"/,
      /^conductor\.yaml:3: scaler\.shed: 0\.8: expected a text with a unit, such as 80%/,
    ],
  },
  {
    what: "thresholds in the wrong order",
    config: "scaler: { restore: 85%, shed: 80%, emergency: 70% }\n",
    code: 2,
    problems: [
      'conductor.yaml:1: scaler.restore: "85%": expected less than scaler.shed (80%)',
      'conductor.yaml:1: scaler.shed: "80%": expected less than scaler.emergency (70%)',
    ],
  },
  {
    what: "a shadow that is to be promoted by evidence, with no record on the disk",
    config:
      'shadow: [{ name: late, policy: adaptive, promotion: { after: 7d, betterBy: 1% } }]\nstorage: { path: ":memory:" }\n',
    code: 1,
    problems: [
      /^shadow policies: shadow late: promotion: expected manual: evidence needs a record on the disk/,
    ],
  },
  {
    what: "a configuration that is missing",
    args: ["serve", "--config", "none.yaml"],
    code: 2,
    problems: [/^none\.yaml: no such file; write one with "conductor init"/],
  },
  {
    what: "a configuration that is a folder",
    args: ["serve", "--config", "."],
    code: 2,
    problems: [".: is a folder; expected a YAML file"],
  },
  {
    what: "an unknown command",
    args: ["sreve"],
    code: 2,
    problems: ['sreve: unknown command; did you mean "serve"?'],
  },
  {
    what: "an unknown flag",
    args: ["serve", "--prot", "80"],
    code: 2,
    problems: ["--prot: unknown option; did you mean --port?"],
  },
  {
    what: "a port that is no number",
    args: ["serve", "--port", "eighty"],
    code: 2,
    problems: ['--port: http.port: "eighty": expected a whole number from 0 to 65535'],
  },
  {
    what: "a port that is too large",
    args: ["--port", "70000"],
    code: 2,
    problems: ["--port: http.port: 70000: expected a whole number from 0 to 65535"],
  },
  {
    what: "an environment variable that names no setting",
    environment: { CONDUCTOR_SCALER_SHEDD: "70%" },
    code: 2,
    problems: ["environment: CONDUCTOR_SCALER_SHEDD: unknown setting; did you mean CONDUCTOR_SCALER_SHED?"],
  },
  {
    what: "plugin folders that are missing or no folder, each on its own line",
    config: "plugins: { dirs: [nowhere, conductor.yaml] }\n",
    code: 1,
    problems: [
      "configuration and plugins: FOLDER/nowhere: no such folder; create it or correct plugins.dirs",
      "configuration and plugins: FOLDER/conductor.yaml: is no folder; correct plugins.dirs",
    ],
  },
  {
    what: "two plugins of one name",
    files: {
      "plugins/a/plugin.yaml": "name: same\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\n",
      "plugins/b/plugin.yaml": "name: same\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\n",
    },
    code: 1,
    problems: [
      'configuration and plugins: two plugins are called "same": FOLDER/plugins/a is used, FOLDER/plugins/b is not; rename or remove one',
    ],
  },
  {
    what: "a port in use",
    environment: { CONDUCTOR_HTTP_PORT: String(busy.port) },
    code: 1,
    problems: [
      `routing: 127.0.0.1:${busy.port} is in use; stop what listens there or set http.port (CONDUCTOR_HTTP_PORT)`,
    ],
  },
];

const expectLines = (folder: string, lines: readonly string[], wanted: readonly (string | RegExp)[]) => {
  const texts = lines.map((line) => line.replaceAll(folder, "FOLDER"));
  expect(texts).toEqual(
    wanted.map((line) =>
      typeof line === "string"
        ? `conductor: ${line}`
        : expect.stringMatching(new RegExp(line.source.replace(/^\^/, "^conductor: "))),
    ),
  );
};

describe("conductor says in one line each, and ends:", () => {
  test.each(mistakes)("$what", async ({ args, config, files, environment, code, problems }) => {
    const folder = scratchFolder(defer);
    writeFiles(folder, { ...files, ...(config === undefined ? {} : { "conductor.yaml": config }) });
    const ended = await run(args ?? ["serve"], {
      cwd: folder,
      environment: { STATE_DIRECTORY: join(folder, "state"), CONDUCTOR_HTTP_PORT: "0", ...environment },
    });
    expectLines(folder, ended.problems, problems);
    expect(ended.err).not.toContain("plugin.state");
    expect(ended.code).toBe(code);
    expect(ended.out).toBe("");
  });

  test.skipIf(!isRoot)("a plugin folder that may not be read, and a port that may not be used", async () => {
    const folder = scratchFolder(defer);
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "plugins"), { mode: 0o700 });
    const unreadable = await run(["serve"], { cwd: folder, wrap: asNobody });
    expectLines(folder, unreadable.problems, [
      "configuration and plugins: FOLDER/plugins: may not be read by this user; change its permissions",
    ]);
    expect(unreadable.code).toBe(1);
    chmodSync(join(folder, "plugins"), 0o755);
    const firstFree = Number(await Bun.file("/proc/sys/net/ipv4/ip_unprivileged_port_start").text());
    if (firstFree < 2) return;
    const forbidden = await run(["serve", "--port", "1"], { cwd: folder, wrap: asNobody });
    expectLines(folder, forbidden.problems, [
      "routing: 127.0.0.1:1 may not be used by this user; set http.port to 1024 or more",
    ]);
    expect(forbidden.code).toBe(1);
  });
});

test("plugins with broken manifests are listed as invalid with the reason, and the others run", async () => {
  const folder = scratchFolder(defer);
  writeFiles(folder, {
    ...echoFiles("echo"),
    "plugins/away/plugin.yaml": "name: away\nversion: 1.0.0\nruntime: bun\nentry: ../echo/index.ts\n",
    "plugins/garbled/plugin.yaml": "name: [\n",
    "plugins/unitless/plugin.yaml":
      "name: unitless\nversion: 1.0.0\nruntime: exec\ncommand: [sh]\nlimits: { memory: 512 }\n",
    "plugins/linked/plugin.yaml": "name: linked\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n",
  });
  symlinkSync("/etc/hostname", join(folder, "plugins/linked/index.ts"));
  const conductor = await RunningConductor.start({ folder });
  defer(() => conductor.kill());
  const reasons = Object.fromEntries(
    (await conductor.plugins()).map(({ name, state, reason }) => [name, `${state}: ${reason}`]),
  );
  expect(reasons).toMatchObject({
    echo: expect.stringMatching(/^ready/),
    away: expect.stringMatching(/^invalid: .*plugin\.yaml:4: entry: .*leaves the plugin's folder/),
    garbled: expect.stringMatching(/^invalid: .*plugin\.yaml:\d+:\d+: /),
    unitless: expect.stringMatching(
      /^invalid: .*plugin\.yaml:5: limits\.memory: 512: expected a text with a unit/,
    ),
    linked: expect.stringMatching(/^invalid: .*is a link out of the plugin's folder/),
  });
  expect(conductor.logged("plugin.invalid")).toHaveLength(4);
  expect((await conductor.request("echo", "hello")).body.result).toEqual({ echo: "hello" });
  expect((await conductor.request("away", "hello")).status).toBe(503);
}, 20_000);
