/** What a manifest says of files: checked at each scan, since they come and go while the manifest stays as it is. */

import { commandProblem, entryProblem, type ProgramLookup, writeProblem } from "./folder-paths.ts";
import type { Manifest } from "./manifest.ts";

/** Where the plugin's files lie, and how its programs are found. */
export interface ManifestPlace {
  /** Null: it has none, as a plugin inside the executable or one that was registered. */
  folder: string | null;
  /** Null: names without a slash are looked up at each start only. */
  lookup: ProgramLookup | null;
}

/** One path that will not do: `key` as in "health.command". */
export interface PathProblem {
  key: string;
  problem: string;
}

/** The keys that name files. */
export const pathKeys = [
  "entry",
  "command",
  "health.command",
  "recovery.reset",
  "permissions.write",
] as const;

/** Every path of the manifest that will not do; none when all will. */
export function pathProblems(manifest: Manifest, { folder, lookup }: ManifestPlace): PathProblem[] {
  const found: PathProblem[] = [];
  const note = (key: (typeof pathKeys)[number], problem: string | null) => {
    if (problem !== null) found.push({ key, problem });
  };
  const entry = manifest.runtime === "bun" ? manifest.entry : null;
  if (entry !== null && folder !== null) note("entry", entryProblem(entry, folder));
  if (manifest.runtime === "exec") note("command", commandProblem(manifest.command[0] ?? "", folder, lookup));
  const { health, recovery, permissions } = manifest;
  if (health.kind === "exec") note("health.command", commandProblem(health.command[0] ?? "", folder, lookup));
  if (recovery.reset) note("recovery.reset", commandProblem(recovery.reset[0] ?? "", folder, lookup));
  if (folder !== null)
    for (const path of permissions.write) note("permissions.write", writeProblem(path, folder, entry));
  return found;
}
