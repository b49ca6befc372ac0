/** What one action of `conductor plugins` is. */

import { CliError, exitCode, type Invocation, textFlag } from "../command.ts";

export interface PluginsAction {
  name: string;
  /** What follows `conductor plugins`. */
  usage: string;
  /** What its positional arguments are, in words, each of them needed: "the name of a plugin". */
  takes: readonly string[];
  /** The flags it reads, beside those of every action. */
  flags: readonly string[];
  /** Yields the exit code. `args` are as many as `takes`. */
  run(invocation: Invocation, args: readonly string[]): Promise<number>;
}

export const aPlugin = "the name of a plugin";

/** A flag's whole number from `min` to `max`; undefined when it was not given. Anything else is wrong usage. */
export function wholeNumberFlag(
  invocation: Invocation,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const text = textFlag(invocation, name);
  return text === undefined ? undefined : wholeNumber(`--${name}`, text, min, max);
}

/** `text` as a whole number from `min` to `max`; anything else is wrong usage. */
export function wholeNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new CliError(`${what}: ${text}: expected a whole number from ${min} to ${max}`, exitCode.usage);
}
