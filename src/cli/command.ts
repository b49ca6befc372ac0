/** What a command of the command line is. */

import type { ParseArgsOptionsConfig } from "node:util";

/** Exit codes: fine, failed, wrong usage or configuration. */
export const exitCode = { ok: 0, failed: 1, usage: 2 } as const;

/** A failure whose message says what to do, one line a problem; the command line prints it and exits with `code`. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exit: number = exitCode.failed,
  ) {
    super(message);
    this.name = "CliError";
  }
}

export interface Terminal {
  /** Writes a line to stdout. */
  out(line: string): void;
  /** Writes a line to stderr. */
  err(line: string): void;
  /** Shows `text` in place of the unfinished last line of stderr; "" takes it away. Only on a terminal. */
  redraw(text: string): void;
  isTerminal: boolean;
}

export interface Invocation {
  flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  positionals: readonly string[];
  terminal: Terminal;
  environment: Readonly<Record<string, string | undefined>>;
  folder: string;
}

export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** `conductor NAME …`; a line for each way to call it. */
  usage: string;
  /** What the help says after the flags, by lines. */
  notes?: readonly string[];
  /** Flags of its own, with their help. */
  options: Readonly<
    Record<string, { type: "string" | "boolean"; short?: string; multiple?: true; help: string }>
  >;
  /** Most positional arguments; Infinity for as many as one likes. */
  positionals: number;
  /** Yields the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** The flags as node's `parseArgs` wants them. */
export function parseOptions(command: Command): ParseArgsOptionsConfig {
  const options: ParseArgsOptionsConfig = { help: { type: "boolean", short: "h" } };
  for (const [name, { type, short, multiple = false }] of Object.entries(command.options))
    options[name] = short ? { type, short, multiple } : { type, multiple };
  return options;
}

/** `-o json` or text; anything else is wrong usage. */
export function wantsJson({ flags }: Invocation): boolean {
  if (flags.output === undefined || flags.output === "text") return false;
  if (flags.output === "json") return true;
  throw new CliError(`-o ${flags.output}: expected json or text`, exitCode.usage);
}

export const outputOption = {
  output: { type: "string", short: "o", help: "text (default) or json" },
} as const;

export const configOption = {
  config: {
    type: "string",
    short: "c",
    help: "Configuration file (default: ./conductor.yaml, if there is one)",
  },
} as const;

/** Which conductor a command asks. */
export const serverOption = {
  ...configOption,
  host: { type: "string", help: "Address of the conductor to ask, in place of http.host" },
  port: { type: "string", short: "p", help: "Its port, in place of http.port" },
} as const;

/** A flag's text; undefined when it was not given. */
export function textFlag({ flags }: Invocation, name: string): string | undefined {
  const value = flags[name];
  return typeof value === "string" ? value : undefined;
}

/** The texts of a flag that may be given several times; empty when it was not given. */
export function textFlags({ flags }: Invocation, name: string): readonly string[] {
  const value = flags[name];
  return Array.isArray(value) ? value : [];
}
