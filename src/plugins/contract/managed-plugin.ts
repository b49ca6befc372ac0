/** The plugin under test as a conductor runs it: with its limits, its health check, and what it requires. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLog } from "../../log.ts";
import { footprints } from "../../monitor/footprint.ts";
import { environmentMark } from "../child-environment.ts";
import { discover, type FoundPlugin } from "../discovery.ts";
import { LogTail } from "../log-tail.ts";
import { PluginManager, type Started } from "../manager.ts";
import { pluginPlaces } from "../plugin-folders.ts";
import type { PluginView } from "../plugin-view.ts";
import { hasEnvironment, listProcesses } from "../proc-table.ts";
import { type ContractOptions, settingsOf } from "./options.ts";

/** Plugins that are looked for because another one requires them. */
const mostRequired = 100;

export class ManagedPlugin {
  readonly tail = new LogTail();
  readonly manager: PluginManager;
  /** How long the last start took, from the process to ready. */
  startMs: number | null = null;
  #startingMs = 0;

  private constructor(
    readonly options: ContractOptions,
    readonly found: FoundPlugin,
    readonly workspace: Workspace,
    bundled: { name: string; manifestText: string }[],
  ) {
    const { clock, config, graceMs, startTimeoutMs, selfCommand, environment, runId } = options;
    const { name } = found;
    this.manager = new PluginManager({
      dirs: [workspace.plugins],
      bundled,
      config: { ...config, [name]: settingsOf(options, name) },
      order: [],
      graceMs,
      startTimeoutMs,
      clock,
      log: silentLog,
      publisher: {
        publish: (event, data) => {
          if (event === "plugin.log" && "line" in data && data.plugin === name)
            this.tail.add(data, clock.nowMs());
          if (event === "plugin.state" && "to" in data && "plugin" in data && data.plugin === name)
            this.#moved(data.to);
        },
      },
      random: () => 0.5,
      runId,
      selfCommand,
      environment,
      dataFolder: (plugin) => workspace.dataFolder(plugin),
      mayStart: () => ({ ok: true }),
    });
  }

  /** Finds the plugin in `options.folder`, and the plugins that it requires beside it or in the executable. */
  static async open(options: ContractOptions): Promise<ManagedPlugin | { errors: readonly string[] }> {
    const workspace = new Workspace(options.runId);
    workspace.link(options.folder);
    const { plugins } = await discover([workspace.plugins], []);
    const errors = plugins.flatMap((plugin) => plugin.errors);
    const [found] = plugins;
    if (!found?.manifest) {
      workspace.remove();
      const { folder } = options;
      return { errors: found ? errors.map((line) => workspace.asTyped(line, folder)) : [noManifest(folder)] };
    }
    const managed = new ManagedPlugin(options, found, workspace, await required(found, options, workspace));
    await managed.manager.discover();
    return managed;
  }

  #moved(to: string): void {
    const nowMs = this.options.clock.monotonicMs();
    if (to === "starting") this.#startingMs = nowMs;
    else if (to === "ready") this.startMs = nowMs - this.#startingMs;
  }

  get name(): string {
    return this.found.name;
  }

  get view(): PluginView {
    const view = this.manager.view(this.name);
    if (!view) throw new Error(`${this.name} is not there any more`);
    return view;
  }

  /** Starts it, with what it requires, or waits until it is ready. */
  async start(): Promise<Started> {
    const { state } = this.view;
    return state === "ready" || state === "degraded"
      ? { ok: true }
      : this.manager.start(this.name, "for the contract");
  }

  /** Proportional set size of its processes now; null when it cannot be read. */
  memoryBytes(): number | null {
    const own = this.manager.footprintTargets().filter(({ plugin }) => plugin === this.name);
    const readings = footprints(
      own.map(({ plugin, rootPids }) => ({ plugin, rootPids, cgroups: [], rootPidsOutside: rootPids })),
    );
    return readings.length === 0 ? null : readings.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Pids of processes that carry its mark. */
  processes(): number[] {
    const mark = [...environmentMark(this.options.runId, null), `CONDUCTOR_PLUGIN=${this.name}`];
    return listProcesses()
      .map(({ pid }) => pid)
      .filter((pid) => hasEnvironment(pid, mark));
  }

  /** Ends everything, and removes what was made for it. */
  async close(): Promise<void> {
    await this.manager.shutdown();
    this.workspace.remove();
  }
}

const noManifest = (folder: string): string =>
  `${folder}: no plugin.yaml in it; "conductor plugins new" makes a plugin to begin with`;

/** Links what `found` requires into the workspace; yields the manifests of those in the executable. */
async function required(found: FoundPlugin, { folder }: ContractOptions, workspace: Workspace) {
  const bundled: { name: string; manifestText: string }[] = [];
  const wanted = found.manifest?.requires.map(({ name }) => name) ?? [];
  if (wanted.length === 0) return bundled;
  const beside = (await discover([dirname(folder)], [])).plugins;
  const inside = (await pluginPlaces("/", [], true)).bundled;
  const seen = new Set([found.name]);
  for (let name = wanted.shift(); name !== undefined && seen.size < mostRequired; name = wanted.shift()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const sibling = beside.find((plugin) => plugin.name === name);
    const one = inside.find((plugin) => plugin.name === name);
    if (sibling?.source.kind === "folder") {
      workspace.link(sibling.source.folder);
      wanted.push(...(sibling.manifest?.requires.map((requirement) => requirement.name) ?? []));
    } else if (one) bundled.push(one);
  }
  return bundled;
}

/** A temporary folder with links to the plugins that take part, and their data. */
class Workspace {
  readonly #root: string;
  readonly plugins: string;
  #links = 0;

  constructor(runId: string) {
    this.#root = mkdtempSync(join(tmpdir(), `conductor-${runId}-`));
    this.plugins = join(this.#root, "plugins");
    // A plugin may run as another user, who has to reach his files through here.
    chmodSync(this.#root, 0o755);
    mkdirSync(this.plugins);
    mkdirSync(join(this.#root, "data"));
  }

  link(folder: string): void {
    symlinkSync(folder, join(this.plugins, `plugin-${++this.#links}`));
  }

  dataFolder(plugin: string): string {
    const folder = join(this.#root, "data", plugin);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** A message about the first link, with the path that its user knows. */
  asTyped(message: string, folder: string): string {
    return message.replaceAll(join(this.plugins, "plugin-1"), () => folder);
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
