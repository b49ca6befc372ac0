/** A command's first argument that names none of its actions. */

import { nearest } from "../config/nearest.ts";
import { CliError, exitCode } from "./command.ts";

/** Names the one that was probably meant, else all of them. */
export function unknownAction(asked: string, names: readonly string[]): CliError {
  const near = nearest(asked, names);
  const hint = near ? `did you mean "${near}"?` : `expected one of ${names.join(", ")}`;
  return new CliError(`${asked}: ${hint}`, exitCode.usage);
}
