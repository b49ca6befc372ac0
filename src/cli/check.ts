import { discover, type FoundPlugin } from "../plugins/discovery.ts";
import { pluginPlaces } from "../plugins/plugin-folders.ts";
import { type Command, configOption, exitCode, outputOption, wantsJson } from "./command.ts";
import { configuration } from "./configuration.ts";

/** `conductor check`: everything that is wrong with the configuration and the plugins, without starting anything. */
export const checkCommand: Command = {
  name: "check",
  summary: "Validate the configuration and the plugins without starting anything",
  usage: "conductor check [--config FILE] [-o json]",
  options: { ...configOption, ...outputOption },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const { config, file, baseFolder } = configuration(invocation);
    const places = await pluginPlaces(baseFolder, config.plugins.dirs, config.plugins.bundled);
    const { plugins, errors } = await discover(places.dirs, places.bundled);
    const found = [...errors.map(({ message }) => message), ...plugins.flatMap((plugin) => plugin.errors)];
    const warnings = orderWarnings(config.scaler.order, plugins);
    const ok = found.length === 0;
    if (json) {
      const names = plugins.map(({ name, manifest }) => ({ name, valid: manifest !== null }));
      invocation.terminal.out(
        JSON.stringify({ ok, config: file, plugins: names, errors: found, warnings }, null, 2),
      );
      return ok ? exitCode.ok : exitCode.failed;
    }
    for (const line of found) invocation.terminal.err(`conductor: ${line}`);
    for (const line of warnings) invocation.terminal.err(`conductor: warning: ${line}`);
    const summary = `${file ?? "defaults"}: ${plugins.map(({ name }) => name).join(", ") || "no plugins"}`;
    invocation.terminal.out(
      ok ? `ok: ${summary}` : `${found.length} ${found.length === 1 ? "problem" : "problems"}: ${summary}`,
    );
    return ok ? exitCode.ok : exitCode.failed;
  },
};

/** Plugins that the order does not name are shed first, which may not be what their owner expects. */
function orderWarnings(order: readonly string[], plugins: readonly FoundPlugin[]): string[] {
  const names = plugins.filter(({ manifest }) => manifest !== null).map(({ name }) => name);
  const unnamed = names.filter((name) => !order.includes(name));
  const absent = order.filter((name) => !names.includes(name));
  return [
    ...(unnamed.length
      ? [`scaler.order does not name ${unnamed.join(", ")}: shed before those it names`]
      : []),
    ...(absent.length ? [`scaler.order names ${absent.join(", ")}: there is no such plugin`] : []),
  ];
}
