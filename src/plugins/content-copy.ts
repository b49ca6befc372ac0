/** A copy of a plugin's content that runs on its own, with the plugin's data still where it is. */

import { constants, existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { chmod, copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { listContentInTurns, plainPath } from "./content-files.ts";

/** Makes a folder that the plugin has not written to yet, since a link to nothing could not be written through. */
function isThere(path: string): boolean {
  try {
    mkdirSync(path, { recursive: true });
    return true;
  } catch {
    return existsSync(path); // A file, or a place where nothing can be made: then not by the plugin either.
  }
}

/**
 * Copies the content of `from` into the new folder `to`. Folders of `exclude` (what the plugin writes to) and names with
 * a dot (settings such as `.env`) become links to the original's, so that a version does not bring old data with it.
 * Rejects with what the file system says; the message of a content that is too large says so.
 */
export async function copyContent(from: string, to: string, exclude: readonly string[]): Promise<void> {
  const listed = await listContentInTurns(from, { exclude, nodeModules: true });
  if (!listed.ok) throw new Error(listed.message);
  mkdirSync(to, { recursive: true, mode: 0o755 });
  const made = new Set([to]);
  const folderFor = (path: string) => {
    const folder = dirname(path);
    if (made.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    made.add(folder);
  };
  for (const { path, kind, executable } of listed.files) {
    const target = join(to, path);
    folderFor(target);
    if (kind === "link") {
      symlinkSync(readlinkSync(join(from, path)), target);
      continue;
    }
    // On file systems that can, a copy costs no space until one of the two is written.
    await copyFile(join(from, path), target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    // Readable by the user the plugin runs as, and written by nobody.
    await chmod(target, executable ? 0o555 : 0o444);
  }
  const dotted = readdirSync(from).filter((name) => name.startsWith("."));
  for (const path of [...exclude.map(plainPath), ...dotted]) {
    const target = join(to, path);
    if (path === "" || existsSync(target) || !isThere(join(from, path))) continue;
    folderFor(target);
    symlinkSync(join(from, path), target);
  }
}
