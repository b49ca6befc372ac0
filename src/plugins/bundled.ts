/** The plugins inside the executable: their modules, and their files as text for reading and unpacking. */

import sourcesPath from "../../dist/bundled.plugins" with { type: "file" };
import type { PluginDefinition } from "../sdk/plugin.ts";

const modules: Record<string, () => Promise<{ default: PluginDefinition }>> = {
  android: () => import("../../plugins/android/index.ts"),
  discord: () => import("../../plugins/discord/index.ts"),
  llama: () => import("../../plugins/llama/index.ts"),
  stubs: () => import("../../plugins/stubs/index.ts"),
  voice: () => import("../../plugins/voice/index.ts"),
};

/** The definition of the bundled plugin called `name`; null when there is none. */
export async function loadBundled(name: string): Promise<PluginDefinition | null> {
  const load = modules[name];
  return load ? (await load()).default : null;
}

/** Plugins that no user runs by itself: a part of conductor starts them when it needs them. */
const parts: readonly string[] = ["llama"];

const isPart = (path: string): boolean => parts.includes(path.split("/")[0] ?? "");

const allFiles = async (): Promise<Record<string, string>> =>
  (await Bun.file(sourcesPath).json()) as Record<string, string>;

/** Text of every file of the bundled plugins that a user may run, by path: `voice/plugin.yaml`. */
export async function bundledFiles(): Promise<Record<string, string>> {
  return Object.fromEntries(Object.entries(await allFiles()).filter(([path]) => !isPart(path)));
}

/** The one command that installs what the part `llama` needs into `folder`; `runtime` is this executable. */
export async function llamaInstallCommand(folder: string, runtime: string): Promise<string> {
  const { installCommand } = await import("../../plugins/llama/library.ts");
  return installCommand(folder, runtime);
}

/** The manifest of a bundled plugin that is a part of conductor. Throws when there is none called `name`. */
export async function partManifest(name: string): Promise<{ name: string; manifestText: string }> {
  const manifestText = (await allFiles())[`${name}/plugin.yaml`];
  if (manifestText === undefined || !parts.includes(name)) throw new Error(`no part is called ${name}`);
  return { name, manifestText };
}
