/** The environment of a plugin: nothing of the conductor's but what is listed. */

import { join } from "node:path";

/** Harmless, and most programs need them. */
const always = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/** Secrets of the conductor itself: never passed on, even when a manifest asks for them. */
const never = new Set(["CONDUCTOR_TOKEN", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC"]);

/** PATH of every plugin: the conductor's own, or the usual one where it has none. */
export function pluginSearchPath(own: Readonly<Record<string, string | undefined>>): string {
  return own.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/** How the processes of a run, and of one instance in it, are told from others. */
export function environmentMark(runId: string, instance: number | null): string[] {
  return [`CONDUCTOR_RUN=${runId}`, ...(instance === null ? [] : [`CONDUCTOR_INSTANCE=${instance}`])];
}

/** The variables that `plugin` is started with: `allowed` from its manifest, taken from `own`. */
export function childEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  allowed: readonly string[],
  plugin: {
    name: string;
    runId: string;
    instance: number;
    runtime: "bun" | "exec";
    dataFolder: string | null;
  },
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of [...always, ...allowed]) {
    const value = own[name];
    if (value !== undefined && !never.has(name)) environment[name] = value;
  }
  // Nothing else is writable for it.
  if (plugin.dataFolder !== null) environment.TMPDIR = join(plugin.dataFolder, "tmp");
  environment.PATH = pluginSearchPath(own);
  environment.CONDUCTOR_PLUGIN = plugin.name;
  environment.CONDUCTOR_RUN = plugin.runId;
  environment.CONDUCTOR_INSTANCE = String(plugin.instance);
  // Bun then ends a host, and what it started, together with its parent.
  if (plugin.runtime === "bun") environment.BUN_FEATURE_FLAG_NO_ORPHANS = "1";
  return environment;
}
