/** The database of the configuration, for commands that read it themselves. */

import { resolve } from "node:path";
import { resolveLocation, type StateLocation } from "../storage/location.ts";
import { openStorageReader, type StorageReader } from "../storage/storage.ts";
import { CliError, type Invocation, textFlag } from "./command.ts";
import { configuration } from "./configuration.ts";

/** Where the configured conductor keeps its state. Throws ConfigError. */
export function stateLocation(invocation: Invocation): StateLocation {
  const { config, baseFolder } = configuration(invocation);
  const { path } = config.storage;
  const absolute = path === undefined || path === ":memory:" ? path : resolve(baseFolder, path);
  return resolveLocation(absolute, invocation.environment);
}

/** The file that `--database` names, else that of the configuration. Throws CliError where the state is in memory. */
export function databasePath(invocation: Invocation): string {
  const named = textFlag(invocation, "database");
  if (named !== undefined) return resolve(invocation.folder, named);
  const { path, inMemoryBecause } = stateLocation(invocation);
  if (path !== null) return path;
  throw new CliError(`there is no database file: ${inMemoryBecause}; name one with --database`);
}

/** Reads with `read` beside a conductor that may write, and closes. Throws StorageError, its message with the remedy. */
export function readDatabase<Result>(path: string, read: (reader: StorageReader) => Result): Result {
  const reader = openStorageReader(path);
  try {
    return read(reader);
  } finally {
    reader.close();
  }
}
