/** `conductor plugins`: lists the plugins, or hands over to one of its actions. */

import { askConductor } from "./client.ts";
import { CliError, type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import type { PluginsAction } from "./plugins/action.ts";
import { logsAction } from "./plugins/logs.ts";
import { newAction } from "./plugins/new.ts";
import { orderActions } from "./plugins/orders.ts";
import { type PluginRow, pluginTable } from "./plugins/plugin-table.ts";
import { testAction } from "./plugins/test.ts";
import { unknownAction } from "./unknown-action.ts";

const actions: readonly PluginsAction[] = [...orderActions, logsAction, newAction, testAction];

const forAll = { ...serverOption, ...outputOption };
const forSome = {
  follow: { type: "boolean", short: "f", help: "logs: go on until Ctrl-C" },
  lines: { type: "string", short: "n", help: "logs: how many of the last lines, 0 to 1000 (default: 100)" },
  runtime: { type: "string", help: "new: bun (default) or exec" },
  language: { type: "string", help: "new: typescript (default), or for exec python (default) or sh" },
  dir: { type: "string", help: "new: where its folder is made (default: ./plugins, if it is there, else .)" },
  payload: { type: "string", help: 'test: payload of its requests, as JSON (default: {"text":"hello"})' },
  type: { type: "string", help: "test: type of its requests (default: message)" },
  "config-json": {
    type: "string",
    help: "test: settings for the plugin, as JSON, in place of those in --config",
  },
} as const;

/** `conductor plugins`: lists them, administers one, shows its log; makes and tests a plugin of one's own. */
export const pluginsCommand: Command = {
  name: "plugins",
  summary: "List the plugins, administer one, read its log; make and test one",
  usage: [
    "conductor plugins [--port PORT] [-o json]",
    ...actions.map(({ usage }) => `conductor plugins ${usage}`),
  ].join("\n"),
  options: { ...forAll, ...forSome },
  // Each action takes its own number, and says so.
  positionals: Number.POSITIVE_INFINITY,
  run: async (invocation) => {
    const { positionals, flags, terminal } = invocation;
    const [asked, ...args] = positionals;
    const action = asked === undefined ? null : find(asked);
    const unread = Object.keys(forSome).find(
      (flag) => flags[flag] !== undefined && !action?.flags.includes(flag),
    );
    if (unread !== undefined) {
      const readers = actions.filter((each) => each.flags.includes(unread)).map(({ name }) => name);
      throw new CliError(`--${unread}: only with plugins ${readers.join(", ")}`, exitCode.usage);
    }
    if (action) return action.run(invocation, checkedArgs(action, args));
    const json = wantsJson(invocation);
    const { plugins } = await askConductor<{ plugins: PluginRow[] }>(invocation, "/api/v1/plugins");
    terminal.out(json ? JSON.stringify({ plugins }, null, 2) : pluginTable(plugins));
    return exitCode.ok;
  },
};

function find(asked: string): PluginsAction {
  const names = actions.map(({ name }) => name);
  const action = actions.find(({ name }) => name === asked);
  if (action) return action;
  throw unknownAction(asked, names);
}

function checkedArgs({ name, takes, usage }: PluginsAction, args: readonly string[]): readonly string[] {
  const missing = takes[args.length];
  if (missing !== undefined) throw new CliError(`${name}: expected ${missing}`, exitCode.usage);
  const extra = args[takes.length];
  if (extra === undefined) return args;
  throw new CliError(`${extra}: unexpected argument; usage: conductor plugins ${usage}`, exitCode.usage);
}
