/** Which folders plugins are looked for in, and whether the bundled ones run too. */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundledFiles } from "./bundled.ts";
import type { BundledPlugin } from "./discovery.ts";

export interface PluginPlaces {
  /** Absolute. Each has to exist. */
  dirs: string[];
  bundled: BundledPlugin[];
}

/**
 * `dirs` relative to `baseFolder`; undefined: `./plugins` there, if it exists. The bundled plugins run when that is
 * asked for, or, undefined, when there is no folder.
 */
export async function pluginPlaces(
  baseFolder: string,
  dirs: readonly string[] | undefined,
  bundled: boolean | undefined,
): Promise<PluginPlaces> {
  const ownFolder = join(baseFolder, "plugins");
  const folders = dirs?.map((dir) => resolve(baseFolder, dir)) ?? (existsSync(ownFolder) ? [ownFolder] : []);
  const wanted = bundled ?? folders.length === 0;
  return { dirs: folders, bundled: wanted ? await bundledManifests() : [] };
}

async function bundledManifests(): Promise<BundledPlugin[]> {
  const files = await bundledFiles();
  return Object.entries(files).flatMap(([path, manifestText]) => {
    const [name = "", file] = path.split("/");
    return file === "plugin.yaml" ? [{ name, manifestText }] : [];
  });
}
