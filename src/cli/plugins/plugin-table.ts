/** Plugins as the conductor shows them, and as columns for a terminal. */

import { formatBytes } from "../../config/units.ts";
import { table } from "../table.ts";

export interface PluginRow {
  name: string;
  version: string | null;
  runtime: string | null;
  state: string;
  reason: string;
  restarts: number;
  pids: number[];
  instances: { shortfall: string | null };
  problem: string | null;
  unenforced: string[];
  footprint: { bytes: number; method: string } | null;
}

/** The plugins as columns for a terminal. */
export function pluginTable(plugins: readonly PluginRow[]): string {
  const rows = plugins.map(({ name, version, runtime, state, footprint, restarts, pids, reason }) => [
    name,
    version ?? "?",
    runtime ?? "?",
    state,
    footprint ? `${formatBytes(footprint.bytes)} ${footprint.method}` : "-",
    String(restarts),
    pids.join(" ") || "-",
    reason,
  ]);
  const heads = ["NAME", "VERSION", "RUNTIME", "STATE", "MEMORY", "RESTARTS", "PIDS", "REASON"];
  const notes = plugins.flatMap(notesOn);
  return [table([heads, ...rows]), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

/** What a row has no room for, a line each. */
function notesOn({ name, problem, instances, unenforced }: PluginRow): string[] {
  const notes: string[] = [];
  if (problem !== null) notes.push(`${name}: what lies in its folder does not run: ${problem}`);
  if (instances.shortfall !== null) notes.push(`${name}: ${instances.shortfall}`);
  if (unenforced.length > 0)
    notes.push(`${name}: runs because it is trusted; not enforced: ${unenforced.join(", ")}`);
  return notes;
}
