/** What lies in conductor's state folder, and what of it is hidden from plugins. */

import { readdirSync } from "node:fs";
import { basename, join } from "node:path";

/** Beside the database; each with what is written next to it while it is replaced. */
const ownNames = {
  token: "token",
  forecast: "forecast.state",
  pluginData: "plugin-data",
  kept: "plugins-kept",
} as const;

/**
 * Holds a data folder for each plugin. Not called "plugins": where the state lies beside the configuration, that is the
 * folder that plugins are looked for in, and no plugin may write to its own code.
 */
export const pluginDataFolder = (stateFolder: string): string => join(stateFolder, ownNames.pluginData);

/** Holds proven versions of plugins, to go back to. */
export const keptFolder = (stateFolder: string): string => join(stateFolder, ownNames.kept);

/**
 * What no plugin may read: the whole state folder. One that was named by hand (`storagePath`, the database) may hold what
 * plugins need, their interpreter for instance: there it is conductor's own files.
 */
export function hiddenState(stateFolder: string, storagePath: string | undefined): string[] {
  if (storagePath === undefined) return [stateFolder];
  const own = [basename(storagePath), ...Object.values(ownNames)];
  return readdirSync(stateFolder)
    .filter((name) => own.some((each) => name.startsWith(each)))
    .map((name) => join(stateFolder, name));
}
