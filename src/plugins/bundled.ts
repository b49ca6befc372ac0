/** The plugins inside the executable: their modules, and their files as text for reading and unpacking. */

import sourcesPath from "../../dist/bundled.plugins" with { type: "file" };
import type { PluginDefinition } from "../sdk/plugin.ts";

const modules: Record<string, () => Promise<{ default: PluginDefinition }>> = {
  android: () => import("../../plugins/android/index.ts"),
  discord: () => import("../../plugins/discord/index.ts"),
  stubs: () => import("../../plugins/stubs/index.ts"),
  voice: () => import("../../plugins/voice/index.ts"),
};

/** The definition of the bundled plugin called `name`; null when there is none. */
export async function loadBundled(name: string): Promise<PluginDefinition | null> {
  const load = modules[name];
  return load ? (await load()).default : null;
}

/** Text of every file of the bundled plugins, by path: `voice/plugin.yaml`. */
export async function bundledFiles(): Promise<Record<string, string>> {
  return (await Bun.file(sourcesPath).json()) as Record<string, string>;
}
