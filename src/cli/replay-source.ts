/** What is replayed: a trace, or what a conductor recorded. */

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { parseBytes, parseRatio } from "../config/units.ts";
import { readPlugins } from "../replay/plugins-file.ts";
import { bundledPlugins } from "../replay/scenarios.ts";
import type { PluginModel } from "../replay/simulated-plugin.ts";
import { readTrace } from "../replay/trace.ts";
import { type Hosts, traceHosts } from "../replay/trace-hosts.ts";
import { CliError, exitCode, type Invocation, textFlag } from "./command.ts";
import type { PercentLine } from "./percent-line.ts";

/** How a trace becomes hosts. */
export interface TraceSettings {
  seed: number;
  budgetBytes: number;
  /** 100 percent of the trace is this share of the budget. */
  share: number;
  plugins: readonly PluginModel[];
  /** Where the plugins come from, for the report. */
  pluginsFrom: string;
}

const mostSeed = 2 ** 32 - 1;
const least = 2 ** 24;

/** Flags that say how a trace becomes hosts. */
export const traceOptions = {
  seed: { type: "string", help: "Chance in the plugins' footprints (default: 1)" },
  budget: { type: "string", help: "What the host may use (default: 12GiB)" },
  share: {
    type: "string",
    help: "What 100 percent of the trace is of the budget; the plugins come on top (default: 50%)",
  },
  plugins: { type: "string", help: "YAML with the plugins of a trace (default: like the bundled four)" },
} as const;

/** A whole number from `from` on; throws wrong usage. */
export function countFlag(
  invocation: Invocation,
  name: string,
  { from, to, otherwise }: { from: number; to: number; otherwise: number },
): number {
  const text = textFlag(invocation, name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= from && value <= to) return value;
  throw new CliError(`--${name} ${text}: expected a whole number from ${from} to ${to}`, exitCode.usage);
}

export const seedFlag = (invocation: Invocation): number =>
  countFlag(invocation, "seed", { from: 0, to: mostSeed, otherwise: 1 });

export function traceSettings(invocation: Invocation, seed = seedFlag(invocation)): TraceSettings {
  const budgetText = textFlag(invocation, "budget") ?? "12GiB";
  const budgetBytes = parseBytes(budgetText);
  if (typeof budgetBytes === "string")
    throw new CliError(`--budget ${budgetText}: ${budgetBytes}`, exitCode.usage);
  if (budgetBytes < least)
    throw new CliError(`--budget ${budgetText}: expected at least 16MiB`, exitCode.usage);
  const shareText = textFlag(invocation, "share") ?? "50%";
  const share = parseRatio(shareText);
  if (typeof share === "string") throw new CliError(`--share ${shareText}: ${share}`, exitCode.usage);
  const file = textFlag(invocation, "plugins");
  const plugins = file === undefined ? bundledPlugins("mixed", { seed, budgetBytes }) : pluginsOf(file);
  return { seed, budgetBytes, share, plugins, pluginsFrom: file ?? "like the bundled four" };

  function pluginsOf(name: string): readonly PluginModel[] {
    return readPlugins(fileText(invocation, name), name, { seed, budgetBytes: budgetBytes as number });
  }
}

function fileText({ folder }: Invocation, file: string): string {
  try {
    return readFileSync(resolve(folder, file), "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const problem =
      code === "ENOENT" ? "no such file; expected YAML with a list of plugins" : `cannot be read (${code})`;
    throw new CliError(`${file}: ${problem}`, exitCode.usage);
  }
}

/** The hosts of a trace. Throws a TraceError, and a CliError where nothing is long enough. */
export function hostsOfTrace(
  { folder }: Invocation,
  name: string,
  settings: TraceSettings,
  progress: PercentLine,
): Hosts {
  const onRead = (share: number) => progress.show(`reading ${name}`, share);
  const hosts = traceHosts(readTrace(resolve(folder, name), { name, onRead }), settings);
  if (hosts.hosts.length > 0) return hosts;
  throw new CliError(
    `${name}: too short: none of its ${hosts.short} stretches without a gap is at least 10 minutes long`,
  );
}

const sqliteHead = "SQLite format 3\0";

/** Whether a file is a SQLite database; false where it cannot be read: whoever reads it says why. */
export function isDatabase({ folder }: Invocation, name: string): boolean {
  const head = new Uint8Array(sqliteHead.length);
  let descriptor: number | null = null;
  try {
    descriptor = openSync(resolve(folder, name), "r");
    readSync(descriptor, head, 0, head.length, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return /\.(db|sqlite3?)$/.test(name);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
  return new TextDecoder().decode(head) === sqliteHead;
}
