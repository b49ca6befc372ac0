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
  return table([["NAME", "VERSION", "RUNTIME", "STATE", "MEMORY", "RESTARTS", "PIDS", "REASON"], ...rows]);
}
