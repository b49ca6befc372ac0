/** `conductor plugins test`: whether a plugin keeps to the contract, checked against the plugin itself. */

import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { SystemClock } from "../../clock.ts";
import { type Config, configSchema } from "../../config/schema.ts";
import { escaped } from "../../log.ts";
import type { CheckResult } from "../../plugins/contract/check.ts";
import { type ContractReport, checkContract } from "../../plugins/contract/suite.ts";
import type { LogLine } from "../../plugins/log-tail.ts";
import { selfCommand } from "../../plugins/self-command.ts";
import type { Json } from "../../sdk/plugin.ts";
import { CliError, exitCode, type Invocation, type Terminal, textFlag, wantsJson } from "../command.ts";
import { configuration } from "../configuration.ts";
import type { PluginsAction } from "./action.ts";

export const testAction: PluginsAction = {
  name: "test",
  usage: "test DIR [--payload JSON] [--type TYPE] [--config-json JSON]",
  takes: ["the folder of a plugin"],
  flags: ["payload", "type", "config-json"],
  run: async (invocation, [dir = ""]) => {
    const json = wantsJson(invocation);
    const { terminal, environment } = invocation;
    const folder = resolve(invocation.folder, dir);
    if (!existsSync(folder)) throw new CliError(`${dir}: no such folder`, exitCode.usage);
    const settings = givenSettings(invocation);
    const payload = jsonFlag(invocation, "payload") ?? { text: "hello" };
    const { config, grace, startTimeout } = givenConfig(invocation).plugins;
    if (!json) terminal.out(`${folder}\n`);
    const interrupted = new AbortController();
    process.on("SIGINT", () => interrupted.abort()).on("SIGTERM", () => interrupted.abort());
    const report = await checkContract({
      folder: realpathSync(folder),
      settings,
      config,
      type: textFlag(invocation, "type") ?? "message",
      payload,
      startTimeoutMs: startTimeout,
      graceMs: grace,
      clock: new SystemClock(),
      selfCommand: selfCommand(process.execPath, Bun.main),
      environment,
      runId: `contract-${process.pid}`,
      signal: interrupted.signal,
      onResult: (result) => (json ? undefined : terminal.out(lineOf(result))),
    });
    if (json) terminal.out(JSON.stringify({ folder, ...report, logs: report.logs.map(jsonLine) }, null, 2));
    else conclude(report, terminal);
    return report.ok ? exitCode.ok : exitCode.failed;
  },
};

/** The flag's text as JSON; undefined when it was not given, wrong usage when it is none. */
function jsonFlag(invocation: Invocation, name: string): Json | undefined {
  const text = textFlag(invocation, name);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`--${name} ${text.slice(0, 80)}: expected JSON (${reason})`, exitCode.usage);
  }
}

/** The configuration, where one was named: the plugin is tested by itself, whatever lies in the folder one is in. */
function givenConfig(invocation: Invocation): Config {
  return textFlag(invocation, "config") === undefined
    ? configSchema.parse({})
    : configuration(invocation).config;
}

function givenSettings(invocation: Invocation): Record<string, Json> | null {
  const given = jsonFlag(invocation, "config-json") ?? null;
  if (given === null || (typeof given === "object" && !Array.isArray(given))) return given;
  throw new CliError('--config-json: expected an object, such as {"port": 0}', exitCode.usage);
}

const jsonLine = ({ atMs, ...line }: LogLine) => ({ at: new Date(atMs).toISOString(), ...line });

const marks = { ok: "ok", failed: "FAILED", skipped: "skipped" } as const;
const nameWidth = "unknown-method".length;
const markWidth = "skipped".length;

const lineOf = ({ name, outcome, detail }: CheckResult): string =>
  `${marks[outcome].padEnd(markWidth)}  ${name.padEnd(nameWidth)}  ${escaped(detail)}`;

function conclude({ checks, logs, ok }: ContractReport, terminal: Terminal): void {
  const count = (outcome: CheckResult["outcome"]) =>
    checks.filter((check) => check.outcome === outcome).length;
  if (!ok && logs.length > 0)
    terminal.out(
      ["", "what it wrote last:", ...logs.map(({ stream, line }) => `  ${stream} ${escaped(line)}`)].join(
        "\n",
      ),
    );
  terminal.out(`\n${count("ok")} ok, ${count("failed")} failed, ${count("skipped")} skipped`);
}
