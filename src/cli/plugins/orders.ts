/** Orders to one plugin of the running conductor: what it was told, and the plugin as it is afterwards. */

import { askConductor } from "../client.ts";
import { exitCode, type Invocation, wantsJson } from "../command.ts";
import { aPlugin, type PluginsAction, wholeNumber } from "./action.ts";
import { type PluginRow, pluginTable } from "./plugin-table.ts";

/** Processes that one plugin may have; the manifest's limit too. */
const mostInstances = 64;

/** The plugin as it is after the order; `notes` say what a person should know about how it was carried out. */
type Answer = PluginRow & { notes?: string[] };

async function order(
  invocation: Invocation,
  plugin: string | undefined,
  action: string,
  body?: unknown,
): Promise<number> {
  const json = wantsJson(invocation);
  const path = `/api/v1/plugins/${encodeURIComponent(plugin ?? "")}/${action}`;
  const answer = await askConductor<Answer>(invocation, path, { method: "POST", body });
  const { terminal } = invocation;
  terminal.out(json ? JSON.stringify(answer, null, 2) : pluginTable([answer]));
  if (!json) for (const note of answer.notes ?? []) terminal.out(`note: ${note}`);
  return exitCode.ok;
}

const plain = (name: string): PluginsAction => ({
  name,
  usage: `${name} NAME`,
  takes: [aPlugin],
  flags: [],
  run: (invocation, [plugin]) => order(invocation, plugin, name),
});

const scale: PluginsAction = {
  name: "scale",
  usage: "scale NAME COUNT",
  takes: [aPlugin, `the number of its processes, from 1 to ${mostInstances}`],
  flags: [],
  run: async (invocation, [plugin, count = ""]) =>
    order(invocation, plugin, "scale", { instances: wholeNumber("COUNT", count, 1, mostInstances) }),
};

export const orderActions: readonly PluginsAction[] = [
  ...["enable", "disable", "restart", "reload", "rollback"].map(plain),
  scale,
];
