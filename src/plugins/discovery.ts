/** Finds the plugins: one folder a plugin in the given folders, and those inside the executable. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { largestManifestBytes, type Manifest, parseManifest } from "./manifest.ts";

/** A plugin inside the executable. */
export interface BundledPlugin {
  name: string;
  /** Its plugin.yaml. */
  manifestText: string;
}

export type PluginSource = { kind: "folder"; folder: string } | { kind: "bundled" };

/** One plugin that was found; `manifest` is null when it is invalid, and `errors` says why. */
export interface FoundPlugin {
  /** Unique in the discovery: the manifest's name, or what comes nearest to one. */
  name: string;
  source: PluginSource;
  manifest: Manifest | null;
  errors: readonly string[];
}

export type DiscoveryErrorCode = "folder-missing" | "folder-unreadable" | "duplicate-name";

/** A mistake that belongs to no one plugin. `message` is one line with the remedy. */
export interface DiscoveryError {
  code: DiscoveryErrorCode;
  message: string;
}

export interface Discovery {
  /** In the order of the folders, each by name; bundled ones last. */
  plugins: FoundPlugin[];
  errors: DiscoveryError[];
}

/** Most folders looked at, over all dirs. */
const mostPlugins = 10_000;

type Listing = { folders: string[] } | { error: DiscoveryError };

function listFolders(dir: string): Listing {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    const folders = entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."))
      .map((entry) => join(dir, entry.name))
      .sort();
    return { folders: folders.slice(0, mostPlugins) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT")
      return {
        error: {
          code: "folder-missing",
          message: `${dir}: no such folder; create it or correct plugins.dirs`,
        },
      };
    const reason =
      code === "ENOTDIR"
        ? "is no folder; correct plugins.dirs"
        : code === "EACCES"
          ? "may not be read by this user; change its permissions"
          : `cannot be read (${code})`;
    return { error: { code: "folder-unreadable", message: `${dir}: ${reason}` } };
  }
}

/** The text of a manifest; `null` when the folder has none and so is no plugin. */
function readManifest(file: string): { text: string } | { error: string } | null {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return { error: `${file}: expected a file` };
    if (stat.size > largestManifestBytes)
      return { error: `${file}: ${stat.size} bytes: expected at most ${largestManifestBytes}` };
    return { text: readFileSync(file, "utf8") };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    return {
      error: `${file}: ${code === "EACCES" ? "may not be read by this user" : `cannot be read (${code})`}`,
    };
  }
}

async function findIn(folder: string): Promise<FoundPlugin | null> {
  const file = join(folder, "plugin.yaml");
  const read = readManifest(file);
  if (read === null) return null;
  const source: PluginSource = { kind: "folder", folder };
  if ("error" in read) return { name: basename(folder), source, manifest: null, errors: [read.error] };
  const parsed = await parseManifest(read.text, file, folder);
  if (parsed.ok) return { name: parsed.manifest.name, source, manifest: parsed.manifest, errors: [] };
  return { name: parsed.name ?? basename(folder), source, manifest: null, errors: parsed.errors };
}

async function findBundled({ name, manifestText }: BundledPlugin): Promise<FoundPlugin> {
  const parsed = await parseManifest(manifestText, `bundled ${name}/plugin.yaml`, null);
  const source: PluginSource = { kind: "bundled" };
  if (parsed.ok) return { name: parsed.manifest.name, source, manifest: parsed.manifest, errors: [] };
  return { name: parsed.name ?? name, source, manifest: null, errors: parsed.errors };
}

const placeOf = (plugin: FoundPlugin): string =>
  plugin.source.kind === "bundled" ? "the executable" : plugin.source.folder;

/**
 * Reads every manifest once. Never throws: a missing folder and a name that two plugins share are in `errors`, a broken
 * manifest is a plugin without one. Of two plugins of one name (letter case aside) the first found is kept, the second
 * is listed under another name as invalid.
 */
export async function discover(
  dirs: readonly string[],
  bundled: readonly BundledPlugin[],
): Promise<Discovery> {
  const discovery: Discovery = { plugins: [], errors: [] };
  const byName = new Map<string, FoundPlugin>();
  const add = (found: FoundPlugin) => {
    const key = found.name.toLowerCase();
    const first = byName.get(key);
    if (!first) {
      byName.set(key, found);
      discovery.plugins.push(found);
      return;
    }
    if (!first.manifest && found.manifest) {
      // A broken one must not take the name of one that works.
      const renamed = { ...first, name: freeName(first.name, byName) };
      discovery.plugins[discovery.plugins.indexOf(first)] = renamed;
      byName.set(renamed.name.toLowerCase(), renamed);
      byName.set(key, found);
      discovery.plugins.push(found);
      return;
    }
    const message = `two plugins are called "${found.name}": ${placeOf(first)} is used, ${placeOf(found)} is not; rename or remove one`;
    if (found.manifest) discovery.errors.push({ code: "duplicate-name", message });
    const errors = [...found.errors, ...(found.manifest ? [message] : [])];
    const renamed = { ...found, name: freeName(found.name, byName), manifest: null, errors };
    byName.set(renamed.name.toLowerCase(), renamed);
    discovery.plugins.push(renamed);
  };
  for (const dir of dirs) {
    const listing = listFolders(dir);
    if ("error" in listing) {
      discovery.errors.push(listing.error);
      continue;
    }
    for (const folder of listing.folders) {
      const found = await findIn(folder);
      if (found) add(found);
    }
  }
  for (const plugin of bundled) add(await findBundled(plugin));
  return discovery;
}

function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  let number = 2;
  while (taken.has(`${name.toLowerCase()}~${number}`)) number++;
  return `${name}~${number}`;
}
