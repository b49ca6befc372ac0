/** `conductor evaluate`: what the running conductor would do if things were otherwise. */

import { resolve } from "node:path";
import { readPolicyFile } from "../config/shadow-file.ts";
import { formatBytes, formatPercent, parseBytes, parseRatio } from "../config/units.ts";
import { askConductor } from "./client.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  serverOption,
  textFlag,
  wantsJson,
} from "./command.ts";

interface Evaluation {
  verdict: {
    rule: string;
    reason: string;
    actions: { kind: string; plugin: string; urgent: boolean; expectedBytes: number | null }[];
    rejected: { kind: string; plugin: string; because: string }[];
  };
  situation: { usedBytes: number; budgetBytes: number };
}

/** Flags with a number, and the key of the request that each becomes. */
const numbers = {
  used: { key: "usedRatio", parse: parseRatio },
  forecast: { key: "smoothedForecastRatio", parse: parseRatio },
  upper: { key: "upperForecastRatio", parse: parseRatio },
  growth: { key: "growthPerSecond", parse: parseBytes },
  reserved: { key: "reservedBytes", parse: parseBytes },
  stall: { key: "stallPercent", parse: percentOf },
} as const;

function percentOf(text: string): number | string {
  const ratio = parseRatio(text);
  return typeof ratio === "string" ? ratio : ratio * 100;
}

export const evaluateCommand: Command = {
  name: "evaluate",
  summary: "Say what would be done if memory or the policy were otherwise",
  usage: [
    "conductor evaluate [--used 93%] [--forecast 90%] [--upper 95%] [--growth 100MiB] [--stall 10%]",
    "                   [--reserved 200MiB] [--shedding] [--policy FILE] [-o json]",
  ].join("\n"),
  notes: ["What is not given is as it is now. Nothing is done or recorded."],
  options: {
    ...serverOption,
    used: { type: "string", help: "Share of the budget that is used" },
    forecast: { type: "string", help: "The smoothed forecast" },
    upper: { type: "string", help: "The upper bound of its interval" },
    growth: { type: "string", help: "Bytes by which the use grows each second" },
    stall: { type: "string", help: "Share of 10 s in which everything waited for memory" },
    reserved: { type: "string", help: "Bytes that are promised and not taken yet" },
    shedding: { type: "boolean", help: "A plugin was shed, and memory is not yet back" },
    policy: { type: "string", help: "Decide by this policy file: the keys of scaler, without mode" },
    ...outputOption,
  },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const body = hypothesisOf(invocation);
    const answer = await askConductor<Evaluation>(invocation, "/api/v1/scaling/evaluate", {
      method: "POST",
      body,
    });
    invocation.terminal.out(json ? JSON.stringify(answer, null, 2) : explain(answer));
    return exitCode.ok;
  },
};

function hypothesisOf(invocation: Invocation): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [flag, { key, parse }] of Object.entries(numbers)) {
    const text = textFlag(invocation, flag);
    if (text === undefined) continue;
    const value = parse(text);
    if (typeof value === "string") throw new CliError(`--${flag} ${text}: ${value}`, exitCode.usage);
    body[key] = value;
  }
  if (invocation.flags.shedding === true) body.shedding = true;
  const file = textFlag(invocation, "policy");
  if (file === undefined) return body;
  const read = readPolicyFile(resolve(invocation.folder, file), file, []);
  if (!read.ok) throw new CliError(read.errors.join("\n"), exitCode.usage);
  return { ...body, policy: read.raw };
}

function explain({ verdict, situation }: Evaluation): string {
  const { usedBytes, budgetBytes } = situation;
  const lines = [
    `with ${formatBytes(usedBytes)} of ${formatBytes(budgetBytes)} used (${formatPercent(usedBytes / budgetBytes)}): rule "${verdict.rule}"`,
    "",
    `  ${verdict.reason}.`,
    "",
  ];
  for (const { kind, plugin, urgent, expectedBytes } of verdict.actions)
    lines.push(
      `  would     ${kind} ${plugin}${urgent ? " at once" : ""}: expected ${expectedBytes === null ? "an unknown amount" : formatBytes(expectedBytes)}`,
    );
  for (const { kind, plugin, because } of verdict.rejected)
    lines.push(`  not       ${kind} ${plugin}: ${because}`);
  if (verdict.actions.length === 0) lines.push("  would     do nothing");
  return lines.join("\n");
}
