/** The folders that a plugin may write to: made before it starts, inside its own, and handed over to its user. */

import { lchownSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";

/** Most entries whose owner is changed; a folder with more is handed over by hand. */
const mostEntries = 100_000;

export type MadeFolder = { ok: true; path: string } | { ok: false; message: string };

/** `path` lies below `folder` and is not the folder itself. */
const isInside = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
};

/** The nearest part of `path` that exists, with links resolved. */
function existingPart(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const parent = dirname(path);
    if (parent === path) throw error;
    return existingPart(parent);
  }
}

/**
 * One entry of `permissions.write`, relative to the plugin's folder: made if it is missing, its real path. One that
 * leaves the folder, by itself or through a link, is a failure, and so is the folder itself, which holds the manifest.
 */
export function writableFolder(folder: string, path: string): MadeFolder {
  const refuse = (why: string): MadeFolder => ({
    ok: false,
    message: `permissions.write: ${JSON.stringify(path)}: ${why}`,
  });
  const wanted = resolve(folder, path);
  if (!isInside(wanted, folder)) return refuse("expected a folder inside the plugin's own");
  try {
    const own = realpathSync(folder);
    const existing = existingPart(wanted);
    if (existing !== own && !isInside(existing, own)) return refuse("is a link out of the plugin's folder");
    // The plugin's user has to get through to it.
    mkdirSync(dirname(wanted), { recursive: true, mode: 0o755 });
    mkdirSync(wanted, { recursive: true, mode: 0o700 });
    const real = realpathSync(wanted);
    return isInside(real, own) ? { ok: true, path: real } : refuse("is a link out of the plugin's folder");
  } catch (error) {
    return refuse(`cannot be made (${(error as NodeJS.ErrnoException).code ?? error})`);
  }
}

/**
 * The plugin's data folder with `tmp` in it, for its user alone. One that holds the plugin (its `folder`; null for one
 * inside the executable) is a failure: it could rewrite its own manifest.
 */
export function dataFolder(path: string, folder: string | null): MadeFolder {
  try {
    mkdirSync(join(path, "tmp"), { recursive: true, mode: 0o700 });
    const real = realpathSync(path);
    const own = folder === null ? null : realpathSync(folder);
    if (own !== null && (own === real || isInside(own, real)))
      return { ok: false, message: `its data folder ${path} holds the plugin itself; correct storage.path` };
    return { ok: true, path: real };
  } catch (error) {
    return {
      ok: false,
      message: `its data folder ${path} cannot be made (${(error as NodeJS.ErrnoException).code ?? error})`,
    };
  }
}

/** Gives a folder with all in it to `user` (uid and gid alike), unless it is theirs. Links are not followed. */
export function handOver(folder: string, user: number): void {
  if (statSync(folder).uid === user) return;
  const inside = readdirSync(folder, { recursive: true, encoding: "utf8" });
  if (inside.length > mostEntries)
    throw new Error(
      `${folder} holds ${inside.length} files, and at most ${mostEntries} are handed over to its user; run: chown -hR ${user}:${user} ${folder}`,
    );
  for (const name of inside) {
    const path = join(folder, name);
    // A second name of a file may be the name of somebody else's file.
    const stat = lstatSync(path);
    if (stat.isDirectory() || stat.nlink === 1) lchownSync(path, user, user);
  }
  // Last, so that a start that was cut short does it again.
  lchownSync(folder, user, user);
}
