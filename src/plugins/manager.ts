/** All plugins: finds them, starts and stops them in order, and is the one way to reach them. */

import type { HealthReport, PluginRequest } from "../sdk/plugin.ts";
import { sortDependencies } from "./dependencies.ts";
import { type Discovery, discover, type FoundPlugin } from "./discovery.ts";
import { dispatchTo } from "./dispatch.ts";
import { type FootprintTarget, footprintTarget } from "./footprint-target.ts";
import { GuardClient } from "./guard-client.ts";
import { checkHealth } from "./health-check.ts";
import { isServing } from "./lifecycle.ts";
import { Limits } from "./limits.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import { oomScoreAdj } from "./oom-score.ts";
import { invalidView, type PluginView, viewOf } from "./plugin-view.ts";
import { stopInOrder } from "./shutdown.ts";
import { invalidStanding, mostReady, type Standing } from "./standing.ts";
import { Supervisor } from "./supervisor.ts";
import type {
  Permission,
  StartOutcome,
  StopIntent,
  StopReport,
  SupervisorPorts,
} from "./supervisor-ports.ts";
import { type CallOptions, type CallResult, failed } from "./transport.ts";

export type { FootprintTarget } from "./footprint-target.ts";

/** Why an order to a plugin was not carried out. `message` says what to do. */
export interface Refusal {
  ok: false;
  code: "unknown-plugin" | "invalid" | "shed" | "disabled" | "start-failed";
  message: string;
}

export type Started = { ok: true } | Refusal;
export type Stopped = { ok: true; report: StopReport } | Refusal;

/** All plugins are ended within this time, whatever they do. */
const shutdownMs = 9_000;
const firstWord = /^[a-z0-9-]{1,32}$/;

export class PluginManager {
  readonly #options: PluginManagerOptions;
  readonly #guard: GuardClient;
  readonly #supervisors = new Map<string, Supervisor>();
  #found: FoundPlugin[] = [];
  #order: string[] = [];
  #dependencyErrors = new Map<string, string>();
  #limits: Limits | null = null;
  #closing = false;
  #discoveredMs = 0;
  #standings: readonly Standing[] = [];
  #standingOf = new Map<string, Standing>();
  #standingsOfPlatform = new Map<string, Standing[]>();

  constructor(options: PluginManagerOptions) {
    if (!firstWord.test(options.runId))
      throw new RangeError(`runId ${options.runId}: expected [a-z0-9-]{1,32}`);
    this.#options = options;
    const { selfCommand, runId, clock, log } = options;
    this.#guard = new GuardClient({ selfCommand, runId, clock, log });
  }

  /** Reads every manifest. Call it once, before anything else. What is wrong is in the result and in `list`. */
  async discover(): Promise<Discovery> {
    const { dirs, bundled, clock } = this.#options;
    const discovery = await discover(dirs, bundled);
    this.#discoveredMs = clock.nowMs();
    this.#found = discovery.plugins;
    const manifests = discovery.plugins.flatMap(({ manifest }) => (manifest ? [manifest] : []));
    const { order, errors } = sortDependencies(manifests);
    this.#order = order;
    this.#dependencyErrors = errors;
    for (const found of discovery.plugins) {
      if (!found.manifest || errors.has(found.name)) continue;
      this.#supervisors.set(found.name, new Supervisor(found.manifest, this.#portsOf(found)));
    }
    this.#standings = this.#found.map(
      (found) => this.#supervisors.get(found.name) ?? invalidStanding(found.name, this.#invalidErrors(found)),
    );
    this.#standingOf = new Map(this.#standings.map((standing) => [standing.name, standing]));
    this.#standingsOfPlatform = Map.groupBy(this.#standings, ({ platform }) => platform);
    return discovery;
  }

  /** Starts the guard, takes the cgroups, then every eager plugin, in parallel where none requires the other. */
  async startAll(): Promise<void> {
    await this.#guard.start();
    this.#limits = this.#takeCgroups();
    const eager = [...this.#supervisors.values()].filter(({ manifest }) => manifest.start === "eager");
    await Promise.all(
      eager.map((supervisor) => supervisor.start("started with conductor", { automatic: true })),
    );
  }

  #takeCgroups(): Limits {
    const { runId, cgroupPlace, log } = this.#options;
    const ownPids = () => [process.pid, ...(this.#guard.pid === null ? [] : [this.#guard.pid])];
    const limits = new Limits({
      runId,
      ownPids,
      ...(cgroupPlace === undefined ? {} : { place: cgroupPlace }),
    });
    if (limits.runFolder !== null && limits.version) this.#guard.setCgroups(limits.version, limits.runFolder);
    else log.warn("plugins.no_cgroups", { reason: limits.reason });
    return limits;
  }

  #portsOf(found: FoundPlugin): SupervisorPorts {
    const { clock, random, log, publisher, environment, runId, selfCommand } = this.#options;
    const folder = found.source.kind === "folder" ? found.source.folder : null;
    const { manifest } = found;
    if (!manifest) throw new Error(`${found.name} has no manifest`);
    const unlimited = { cgroup: null, mechanism: "none", reason: "not started" } as const;
    return {
      clock,
      random,
      instance: {
        clock,
        runId,
        environment,
        selfCommand,
        limits: { apply: (plugin, bytes) => this.#limits?.apply(plugin, bytes) ?? unlimited },
        sandbox: {
          pluginNames: () => this.#found.map(({ name }) => name),
          hiddenPaths: () => this.#options.hiddenPaths?.() ?? [],
          withhold: this.#options.withhold ?? [],
        },
        guard: this.#guard,
        never: () => this.#never(),
      },
      requirements: (plugin) => this.#requirements(plugin),
      mayStart: (plugin) => this.#mayStart(plugin),
      plan: () => ({
        manifest,
        folder,
        dataFolder: this.#options.dataFolder(manifest.name),
        config: this.#options.config[manifest.name] ?? {},
        startTimeoutMs: this.#options.startTimeoutMs,
        oomScoreAdj: this.#oomScore(manifest.name),
      }),
      changed: ({ plugin, from, to, reason }) => {
        log.info("plugin.state", { plugin, from, to, reason });
        publisher.publish("plugin.state", { plugin, from, to, reason });
      },
      exited: ({ plugin, report, expected }) =>
        publisher.publish("plugin.exit", { plugin, ...report.status, expected }),
      emitLog: (plugin, stream, line) => publisher.publish("plugin.log", { plugin, stream, line }),
      noted: (plugin, what) => log.warn("plugin.output", { plugin, what }),
    };
  }

  #never(): ReadonlySet<number> {
    return new Set([process.pid, ...(this.#guard.pid === null ? [] : [this.#guard.pid])]);
  }

  #mayStart(plugin: string): Permission {
    return this.#closing ? { ok: false, reason: "conductor is ending" } : this.#options.mayStart(plugin);
  }

  /** The kernel's order of killing is the degradation order: unnamed ones by name, then the named ones. */
  #oomScore(plugin: string): number {
    const { order } = this.#options;
    const names = [...this.#supervisors.keys()].sort();
    const unnamed = names.filter((name) => !order.includes(name));
    const ranked = [...unnamed, ...order.filter((name) => names.includes(name))];
    return oomScoreAdj(ranked.indexOf(plugin), ranked.length);
  }

  async #requirements(plugin: string): Promise<Permission> {
    if (this.#closing) return { ok: false, reason: "conductor is ending" };
    const required = this.#supervisors.get(plugin)?.manifest.requires ?? [];
    for (const { name } of required) {
      const supervisor = this.#supervisors.get(name);
      if (!supervisor) return { ok: false, reason: `requires ${name}, which cannot start` };
      if (isServing(supervisor.state)) continue;
      const startable = ["discovered", "starting"].includes(supervisor.state) || supervisor.startsOnRequest;
      const outcome: StartOutcome = startable
        ? await supervisor.start(`required by ${plugin}`, { automatic: true })
        : { ok: false, message: `${supervisor.state}: ${supervisor.reason}` };
      if (!outcome.ok)
        return { ok: false, reason: `requires ${name}, which is not ready (${outcome.message})` };
    }
    return { ok: true };
  }

  /** Every plugin, the invalid ones too, in the order of discovery. */
  list(): PluginView[] {
    return this.#found.map((found) => this.#viewOf(found));
  }

  /** One plugin; null when there is none of that name. */
  view(name: string): PluginView | null {
    const found = this.#found.find((each) => each.name === name);
    return found ? this.#viewOf(found) : null;
  }

  /** Every plugin as it stands, in the order of `list`: live and made once, for those who ask often. */
  standings(): readonly Standing[] {
    return this.#standings;
  }

  /** How one plugin stands, live; null when there is none of that name. */
  standing(name: string): Standing | null {
    return this.#standingOf.get(name) ?? null;
  }

  /** The platforms that plugins serve, in the order of discovery. */
  platforms(): string[] {
    return [...this.#standingsOfPlatform.keys()];
  }

  /** The plugin for a platform's next request: one that serves, else one that can; null when no plugin has it. */
  serving(platform: string): Standing | null {
    return mostReady(this.#standingsOfPlatform.get(platform) ?? []);
  }

  #invalidErrors({ name, errors }: FoundPlugin): string[] {
    const dependency = this.#dependencyErrors.get(name);
    return [...errors, ...(dependency === undefined ? [] : [dependency])];
  }

  #viewOf(found: FoundPlugin): PluginView {
    const supervisor = this.#supervisors.get(found.name);
    if (supervisor) return viewOf(supervisor, found.source);
    return invalidView(found.name, found.source, this.#invalidErrors(found), this.#discoveredMs);
  }

  #find(name: string): Supervisor | Refusal {
    const supervisor = this.#supervisors.get(name);
    if (supervisor) return supervisor;
    const view = this.view(name);
    if (view) return { ok: false, code: "invalid", message: `${name} is invalid: ${view.reason}` };
    return { ok: false, code: "unknown-plugin", message: `${name}: no such plugin` };
  }

  async #start(name: string, reason: string, from: { shed: boolean; disabled: boolean }): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    const wanted = supervisor.wanted();
    if (wanted === "disabled" && !from.disabled)
      return { ok: false, code: "disabled", message: `${name} is disabled; enable it first` };
    if (wanted === "shed" && !from.shed)
      return {
        ok: false,
        code: "shed",
        message: `${name} is shed for memory; it is restored when there is room`,
      };
    const outcome = await supervisor.start(reason);
    return outcome.ok ? outcome : { ok: false, code: "start-failed", message: outcome.message };
  }

  async #stop(name: string, intent: StopIntent, how: { urgent?: boolean; reason: string }): Promise<Stopped> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    const disabled = supervisor.wanted() === "disabled";
    if (disabled && !supervisor.instance && intent !== "disabled")
      return { ok: false, code: "disabled", message: `${name} is disabled already` };
    const { graceMs } = this.#options;
    // One that is still ending can be waited for and hastened, and stays disabled.
    const report = await supervisor.stop(disabled ? "disabled" : intent, {
      urgent: how.urgent ?? false,
      graceMs,
      reason: how.reason,
    });
    return { ok: true, report };
  }

  /** Starts one that is stopped, failed or in a crash loop, and waits until it is ready. */
  start(name: string, reason = "started by hand"): Promise<Started> {
    return this.#start(name, reason, { shed: false, disabled: false });
  }

  /** Stops one until it is started by hand. */
  stop(name: string, reason = "stopped by hand"): Promise<Stopped> {
    return this.#stop(name, "stopped", { reason });
  }

  /** Stops one for memory: only `restore` and `enable` start it again. Urgent kills at once. */
  shed(name: string, how: { urgent: boolean; reason: string }): Promise<Stopped> {
    return this.#stop(name, "shed", how);
  }

  /** Kills at once what is being stopped gently. */
  hasten(name: string): void {
    this.#supervisors.get(name)?.hasten();
  }

  /** Starts a shed one and waits until it is ready. */
  restore(name: string, reason = "restored"): Promise<Started> {
    return this.#start(name, reason, { shed: true, disabled: false });
  }

  /** Stops one until it is enabled. */
  disable(name: string, reason = "disabled by hand"): Promise<Stopped> {
    return this.#stop(name, "disabled", { reason });
  }

  /** Starts one whatever kept it from running. */
  enable(name: string, reason = "enabled by hand"): Promise<Started> {
    return this.#start(name, reason, { shed: true, disabled: true });
  }

  /** Stops one gently and starts it again. */
  async restart(name: string, reason = "restarted by hand"): Promise<Started> {
    const wanted = this.#supervisors.get(name)?.wanted();
    if (wanted !== "shed" && wanted !== "disabled") {
      const stopped = await this.#stop(name, "stopped", { reason });
      if (!stopped.ok) return stopped;
    }
    return this.start(name, reason);
  }

  /** Sends one request, starting a lazy plugin. Never rejects. */
  async dispatch(name: string, request: PluginRequest, options: CallOptions): Promise<CallResult> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return failed("unavailable", supervisor.message);
    return dispatchTo(supervisor, request, options, this.#options.clock);
  }

  /** Asks one plugin how it is. A plugin that serves becomes ready or degraded by the answer. Never rejects. */
  async checkHealth(name: string, options: CallOptions): Promise<CallResult<HealthReport>> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return failed("unavailable", supervisor.message);
    const { instance, manifest } = supervisor;
    if (!instance || !isServing(supervisor.state))
      return failed("unavailable", `${name} is ${supervisor.state}: ${supervisor.reason}`);
    const { clock, runId, environment } = this.#options;
    const subject = {
      instance,
      check: manifest.health,
      clock,
      runId,
      environment,
      never: () => this.#never(),
    };
    const result = await checkHealth(subject, options);
    if (supervisor.instance !== instance || (!result.ok && result.kind === "cancelled")) return result;
    if (result.ok)
      supervisor.judge(result.value.status === "healthy", result.value.detail ?? result.value.status);
    else supervisor.judge(false, `health check: ${result.message}`);
    return result;
  }

  /** Where the memory of each running plugin is to be measured. */
  footprintTargets(): FootprintTarget[] {
    return [...this.#supervisors.values()].flatMap(({ name, instance }) => footprintTarget(name, instance));
  }

  /** Ends every plugin, each before what it requires, within 10 s; then the cgroups and the guard. */
  async shutdown(): Promise<{ gone: boolean }> {
    this.#closing = true;
    const nodes = this.#order.flatMap((name) => this.#supervisors.get(name) ?? []);
    const gone = await stopInOrder(nodes, {
      clock: this.#options.clock,
      totalMs: shutdownMs,
      graceMs: this.#options.graceMs,
    });
    if (gone && this.#limits?.release() === false)
      this.#options.log.warn("plugins.cgroups_left", { folder: this.#limits.runFolder });
    // What is not gone is left to the guard, which goes on killing after us.
    if (gone) await this.#guard.close();
    return { gone };
  }
}
