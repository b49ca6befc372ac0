/** Where the state lives: `storage.path`, `$STATE_DIRECTORY`, `$XDG_STATE_HOME`, `~/.local/state`, or in memory. */

import { closeSync, mkdirSync, openSync, unlinkSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";

export type LocationSource = "storage.path" | "STATE_DIRECTORY" | "XDG_STATE_HOME" | "HOME";

/** A folder that was wanted and could not be used, with the reason. */
interface PassedOver {
  source: LocationSource;
  folder: string;
  reason: string;
}

/** An absolute path, or null with the reason in one line. `passedOver` holds what was tried before. */
export type StateLocation =
  | { path: string; source: LocationSource; inMemoryBecause: null; passedOver: PassedOver[] }
  | { path: null; source: null; inMemoryBecause: string; passedOver: PassedOver[] };

type Environment = Readonly<Record<string, string | undefined>>;

const databaseName = "conductor.db";

/** The folders that the environment offers, best first. systemd separates several by ":"; the first is ours. */
export function offeredFolders(env: Environment): { source: LocationSource; folder: string }[] {
  const offered: { source: LocationSource; folder: string | undefined }[] = [
    { source: "STATE_DIRECTORY", folder: env.STATE_DIRECTORY?.split(":")[0] },
    { source: "XDG_STATE_HOME", folder: env.XDG_STATE_HOME && join(env.XDG_STATE_HOME, "conductor") },
    { source: "HOME", folder: env.HOME && join(env.HOME, ".local", "state", "conductor") },
  ];
  // The XDG specification: a path that is not absolute is invalid and is ignored.
  return offered.flatMap(({ source, folder }) =>
    folder && isAbsolute(folder) ? [{ source, folder: resolve(folder) }] : [],
  );
}

/** Why `folder` cannot be created or written, or null. Permission bits lie to root: only making a file tells. */
function whyUnusable(folder: string): string | null {
  const probe = join(folder, `.conductor-probe-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    closeSync(openSync(probe, "wx", 0o600));
    unlinkSync(probe);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Decides where the database lies, and creates the folder unless the path is explicit.
 * `explicitPath` is taken as it is (relative to the working directory; ":memory:" asks for memory): whether it can be used
 * shows when it is opened, and it is never replaced by another place.
 */
export function resolveLocation(explicitPath: string | undefined, env: Environment): StateLocation {
  if (explicitPath === ":memory:")
    return { path: null, source: null, inMemoryBecause: "storage.path is :memory:", passedOver: [] };
  if (explicitPath !== undefined)
    return { path: resolve(explicitPath), source: "storage.path", inMemoryBecause: null, passedOver: [] };
  const passedOver: PassedOver[] = [];
  for (const { source, folder } of offeredFolders(env)) {
    const reason = whyUnusable(folder);
    if (reason === null)
      return { path: join(folder, databaseName), source, inMemoryBecause: null, passedOver };
    passedOver.push({ source, folder, reason });
  }
  const tried = passedOver.map(({ source, reason }) => `${source}: ${reason}`).join("; ");
  const inMemoryBecause = tried
    ? `no state folder can be written (${tried})`
    : "none of STATE_DIRECTORY, XDG_STATE_HOME and HOME names an absolute folder";
  return { path: null, source: null, inMemoryBecause, passedOver };
}
