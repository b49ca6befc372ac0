import { formatBytes } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { CliError, type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import { table } from "./table.ts";

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

const actions = ["enable", "disable", "restart"];

/** `conductor plugins`: lists them, or administers one. */
export const pluginsCommand: Command = {
  name: "plugins",
  summary: "List the plugins, or enable, disable or restart one",
  usage: "conductor plugins [enable NAME | disable NAME | restart NAME] [--port PORT] [-o json]",
  options: { ...serverOption, ...outputOption },
  positionals: 2,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const [action, name] = invocation.positionals;
    if (action === undefined) {
      const { plugins } = await askConductor<{ plugins: PluginRow[] }>(invocation, "/api/v1/plugins");
      invocation.terminal.out(json ? JSON.stringify({ plugins }, null, 2) : pluginTable(plugins));
      return exitCode.ok;
    }
    if (!actions.includes(action))
      throw new CliError(`${action}: expected one of ${actions.join(", ")}`, exitCode.usage);
    if (name === undefined) throw new CliError(`${action}: expected the name of a plugin`, exitCode.usage);
    const path = `/api/v1/plugins/${encodeURIComponent(name)}/${action}`;
    const plugin = await askConductor<PluginRow>(invocation, path, { method: "POST" });
    invocation.terminal.out(json ? JSON.stringify(plugin, null, 2) : pluginTable([plugin]));
    return exitCode.ok;
  },
};

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
