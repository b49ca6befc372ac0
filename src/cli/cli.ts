/** Picks the command, parses its flags, prints its errors. */

import { parseArgs } from "node:util";
import { ConfigError } from "../config/load.ts";
import { nearest } from "../config/nearest.ts";
import { commit, version } from "../version.ts";
import { CliError, type Command, exitCode, type Invocation, parseOptions } from "./command.ts";

const defaultCommand = "serve";

/** Runs `args` (without the program's name) with one of `commands`; yields the exit code and never throws. */
export async function runCli(
  args: readonly string[],
  commands: readonly Command[],
  context: Omit<Invocation, "flags" | "positionals">,
): Promise<number> {
  const { terminal } = context;
  try {
    const [first, ...rest] = args;
    if (first === "--version" || first === "-V" || first === "version") {
      terminal.out(`conductor ${version} (${commit})`);
      return exitCode.ok;
    }
    if (first === "--help" || first === "-h" || (first === "help" && rest.length === 0)) {
      terminal.out(overview(commands));
      return exitCode.ok;
    }
    const named = first !== undefined && !first.startsWith("-");
    const asked = first === "help" ? (rest[0] ?? "") : named ? first : defaultCommand;
    const command = commands.find(({ name }) => name === asked);
    if (!command) throw unknownCommand(asked, commands);
    if (first === "help") {
      terminal.out(help(command));
      return exitCode.ok;
    }
    return await runCommand(command, named ? rest : args, context);
  } catch (error) {
    return report(error, terminal);
  }
}

async function runCommand(
  command: Command,
  args: readonly string[],
  context: Omit<Invocation, "flags" | "positionals">,
): Promise<number> {
  const { values, positionals } = parse(command, args);
  if (values.help) {
    context.terminal.out(help(command));
    return exitCode.ok;
  }
  if (positionals.length > command.positionals) {
    const extra = positionals[command.positionals];
    throw new CliError(`${extra}: unexpected argument; usage: ${command.usage}`, exitCode.usage);
  }
  const flags = values as Invocation["flags"];
  return command.run({ ...context, flags, positionals });
}

function parse(command: Command, args: readonly string[]) {
  const options = parseOptions(command);
  const known = Object.keys(options);
  for (const arg of args) {
    if (arg === "--") break;
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near ? `did you mean --${near}?` : `see conductor ${command.name} --help`;
    throw new CliError(`--${name}: unknown option; ${hint}`, exitCode.usage);
  }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const message = error instanceof Error ? error.message.split(". ")[0] : String(error);
    throw new CliError(`${message}; see conductor ${command.name} --help`, exitCode.usage);
  }
}

function unknownCommand(asked: string, commands: readonly Command[]): CliError {
  const near = nearest(
    asked,
    commands.map(({ name }) => name),
  );
  const hint = near ? `did you mean "${near}"?` : "see conductor --help";
  return new CliError(`${asked}: unknown command; ${hint}`, exitCode.usage);
}

function report(error: unknown, terminal: Invocation["terminal"]): number {
  if (error instanceof ConfigError) {
    for (const line of error.lines) terminal.err(`conductor: ${line}`);
    return exitCode.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  for (const line of message.split("\n")) terminal.err(`conductor: ${line}`);
  return error instanceof CliError ? error.exit : exitCode.failed;
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    `conductor ${version}: keeps the integrations of one small host alive`,
    "",
    "usage: conductor [COMMAND] [OPTIONS]",
    "",
    ...commands.map(
      ({ name, summary }) =>
        `  ${name.padEnd(width)}  ${summary}${name === defaultCommand ? " (default)" : ""}`,
    ),
    "",
    "conductor COMMAND --help explains one. Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.",
  ].join("\n");
}

function help(command: Command): string {
  const options: Command["options"] = {
    ...command.options,
    help: { type: "boolean", short: "h", help: "This text" },
  };
  const rows = Object.entries(options).map(([name, option]) => {
    const short = option.short ? `-${option.short}, ` : "    ";
    return [`${short}--${name}${option.type === "string" ? " VALUE" : ""}`, option.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    command.summary,
    "",
    `usage: ${command.usage.replaceAll("\n", "\n       ")}`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    ...(command.notes ? ["", ...command.notes] : []),
  ].join("\n");
}
