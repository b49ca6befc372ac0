/** Step "configuration and plugins": finds them; nothing is started yet. */

import { join } from "node:path";
import type { Metrics } from "../metrics/metrics.ts";
import type { DisabledStore } from "../plugins/disabled.ts";
import { PluginManager } from "../plugins/manager.ts";
import { pluginPlaces } from "../plugins/plugin-folders.ts";
import { selfCommand } from "../plugins/self-command.ts";
import type { Scaler } from "../scaler/scaler.ts";
import type { Policy } from "../scaler/situation.ts";
import type { Foundation } from "./foundation.ts";
import { hiddenState, keptFolder, pluginDataFolder } from "./state-folder.ts";

/** Made by later steps, and asked only once plugins are started. */
export interface Later {
  metrics: Metrics | null;
  scaler: Scaler | null;
  disabled: DisabledStore | null;
  /** Null: the state is in memory. */
  stateFolder: string | null;
}

/** Finds the plugins, and what `register` adds. Throws when a folder is missing or two plugins share a name; a broken one is only listed. */
export async function openPlugins(
  foundation: Foundation,
  later: Later,
  register: (manager: PluginManager) => Promise<void> | undefined,
): Promise<PluginManager> {
  const { loaded, clock, log, events, environment } = foundation;
  const { plugins, scaler } = loaded.config;
  const manager = new PluginManager({
    ...(await pluginPlaces(loaded.baseFolder, plugins.dirs, plugins.bundled)),
    config: plugins.config,
    order: scaler.order,
    graceMs: plugins.grace,
    startTimeoutMs: plugins.startTimeout,
    clock,
    log,
    publisher: events,
    events: {
      subscribe: (take, wants) => events.subscribe(take, wants),
      dropped: (plugin) => later.metrics?.countEventDrops(`plugin ${plugin}`),
    },
    random: foundation.random,
    runId: crypto.randomUUID().slice(0, 8),
    selfCommand: selfCommand(process.execPath, Bun.main),
    environment,
    dataFolder: (plugin) =>
      later.stateFolder === null ? null : join(pluginDataFolder(later.stateFolder), plugin),
    hiddenPaths: () => [
      ...(later.stateFolder === null ? [] : hiddenState(later.stateFolder, loaded.config.storage.path)),
      ...(loaded.file === null ? [] : [loaded.file]),
    ],
    mayStart: (plugin) => later.scaler?.mayStart(plugin) ?? { ok: true },
    mayOverlap: (plugin) => later.scaler?.mayOverlap(plugin) ?? { ok: true },
    overlapEnded: (plugin) => later.scaler?.overlapEnded(plugin),
    keptFolder: () => (later.stateFolder === null ? null : keptFolder(later.stateFolder)),
    disabledStore: () => later.disabled,
    watch: true,
    healthTimeoutMs: loaded.config.health.timeout,
    healthFailures: loaded.config.health.failures,
  });
  await register(manager);
  const { errors } = await manager.discover();
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join("\n"));
  for (const { name, state, reason } of manager.list())
    if (state === "invalid") log.error("plugin.invalid", { plugin: name, reason });
  return manager;
}

/** The platform of the plugin that is shed last: it stands in for the others. */
export function fallbackPlatforms(manager: PluginManager, { order }: Policy): string[] {
  const last = order.at(-1);
  const view = last === undefined ? null : manager.view(last);
  return view ? [view.platform ?? view.name] : [];
}
