/** The plugin folders in a folder. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DiscoveryError } from "./found-plugin.ts";

/** Most plugin folders in one of `plugins.dirs`. */
const mostFolders = 20_000;

export interface FolderListing {
  /** By name. */
  folders: string[];
  /** Links that lead to no folder. */
  broken: { folder: string; problem: string }[];
  errors: DiscoveryError[];
}

/** Every folder in `dir`, links to folders too, but none with a dot and no `node_modules`. */
export function listPluginFolders(dir: string): FolderListing {
  const listing: FolderListing = { folders: [], broken: [], errors: [] };
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const folder = join(dir, entry.name);
      if (entry.isDirectory()) listing.folders.push(folder);
      if (!entry.isSymbolicLink()) continue;
      const target = linkTarget(folder);
      if (target === "folder") listing.folders.push(folder);
      else if (target !== "other") listing.broken.push({ folder, problem: target.problem });
    }
  } catch (error) {
    listing.errors.push(listingError(dir, error));
  }
  listing.folders.sort();
  if (listing.folders.length > mostFolders) {
    const message = `${dir}: ${listing.folders.length} folders: expected at most ${mostFolders}; the rest is not looked at`;
    listing.errors.push({ code: "too-many", message });
    listing.folders.length = mostFolders;
  }
  return listing;
}

function linkTarget(path: string): "folder" | "other" | { problem: string } {
  try {
    return statSync(path).isDirectory() ? "folder" : "other";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return { problem: `${path}: is a link to nothing; remove it or correct it` };
    if (code === "ELOOP") return { problem: `${path}: is a link that leads back to itself; remove it` };
    return { problem: `${path}: is a link that cannot be followed (${code})` };
  }
}

function listingError(dir: string, error: unknown): DiscoveryError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT")
    return {
      code: "folder-missing",
      message: `${dir}: no such folder; create it or correct plugins.dirs`,
    };
  const reason =
    code === "ENOTDIR"
      ? "is no folder; correct plugins.dirs"
      : code === "EACCES"
        ? "may not be read by this user; change its permissions"
        : `cannot be read (${code})`;
  return { code: "folder-unreadable", message: `${dir}: ${reason}` };
}
