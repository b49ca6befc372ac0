/** All plugins: finds them, starts and stops them in order, and is the one way to reach them. */

import type { HealthReport, PluginRequest } from "../sdk/plugin.ts";
import { pluginSearchPath } from "./child-environment.ts";
import { Disabled } from "./disabled.ts";
import { type Discovery, type FoundPlugin, PluginScanner, type Registration } from "./discovery.ts";
import { dispatchTo } from "./dispatch.ts";
import { type FootprintTarget, footprintTarget } from "./footprint-target.ts";
import { GuardClient } from "./guard-client.ts";
import { checkHealth } from "./health-check.ts";
import { checkMembers } from "./health-members.ts";
import type { Instance } from "./instance.ts";
import { isServing } from "./lifecycle.ts";
import { limitsWithoutCgroups } from "./limit-in-force.ts";
import type { Limits } from "./limits.ts";
import type { PluginManagerOptions } from "./manager-options.ts";
import { type HowToStop, keptDown, type Refusal, type Started, type Stopped, tooMany } from "./orders.ts";
import { type PluginPlanner, planner } from "./planner.ts";
import type { PluginView } from "./plugin-view.ts";
import { Requirements } from "./requirements.ts";
import { runReset } from "./reset.ts";
import { Roster, versionFound } from "./roster.ts";
import { stopInOrder } from "./shutdown.ts";
import type { Standing } from "./standing.ts";
import { StatmWatch } from "./statm-watch.ts";
import { strike } from "./strike.ts";
import { Supervisor } from "./supervisor.ts";
import type { Permission, StopIntent, SupervisorPorts } from "./supervisor-ports.ts";
import { takeCgroups } from "./take-cgroups.ts";
import { type CallOptions, type CallResult, failed } from "./transport.ts";
import { Updates } from "./updates.ts";
import { VersionStore } from "./version-store.ts";
import { Versions } from "./versions.ts";
import { PluginWatch } from "./watch-plugins.ts";

export type { FootprintTarget } from "./footprint-target.ts";
export type { Refusal, Started, Stopped } from "./orders.ts";

/** All plugins are ended within this time, whatever they do, where nobody says another. */
const shutdownMs = 9_000;
const firstWord = /^[a-z0-9-]{1,32}$/;

export class PluginManager {
  readonly #options: PluginManagerOptions;
  readonly #guard: GuardClient;
  readonly #roster = new Roster();
  readonly #requirements: Requirements;
  readonly #updates: Updates;
  readonly #disabled: Disabled;
  readonly #planner: PluginPlanner;
  readonly #scanner: PluginScanner;
  readonly #folders: PluginWatch;
  readonly #versions: Versions;
  #limits: Limits | null = null;
  readonly #watch: StatmWatch;
  #closing = false;

  constructor(options: PluginManagerOptions) {
    if (!firstWord.test(options.runId))
      throw new RangeError(`runId ${options.runId}: expected [a-z0-9-]{1,32}`);
    this.#options = options;
    const { selfCommand, runId, clock, log } = options;
    this.#watch = new StatmWatch(clock);
    this.#guard = new GuardClient({ selfCommand, runId, clock, log });
    this.#requirements = new Requirements(this.#roster, options.graceMs);
    this.#versions = new Versions(log, () => clock.nowMs());
    this.#planner = planner(options, this.#roster, this.#versions);
    this.#scanner = new PluginScanner({
      dirs: options.dirs,
      bundled: options.bundled,
      searchPath: pluginSearchPath(options.environment),
    });
    this.#folders = new PluginWatch({
      dirs: options.dirs,
      clock,
      log,
      changed: () => void this.rescan(),
      ignored: (path) => this.#roster.writes(path),
    });
    this.#updates = new Updates({
      options,
      roster: this.#roster,
      versions: this.#versions,
      scan: () => this.#scanner.scan(),
      create: (found) => this.#create(found),
      hold: (supervisor) => this.#disabled.hold(supervisor),
      remove: (supervisor) => this.#remove(supervisor),
    });
    this.#disabled = new Disabled({
      store: () => options.disabledStore?.() ?? null,
      nowMs: () => clock.nowMs(),
      log,
      supervisors: () => this.#roster.supervisors(),
      exists: (name) => this.view(name) !== null,
      stop: (name, reason) => this.#stop(name, "disabled", { reason }),
      start: (name, reason) => this.#start(name, reason, { shed: true, disabled: true }),
    });
  }

  /** Reads every manifest. Call it once, before anything else. What is wrong is in the result and in `list`. */
  async discover(): Promise<Discovery> {
    if (this.#options.watch) this.#folders.start();
    const discovery = await this.#scanner.scan();
    this.#roster.take(discovery, this.#options.clock.nowMs(), (found) => this.#create(found));
    return discovery;
  }

  /** Found by the next `discover` or `rescan`; it ends with the rescan after the returned function was called. */
  register(registration: Registration): () => void {
    return this.#scanner.register(registration);
  }

  #create(found: FoundPlugin): Supervisor {
    return new Supervisor(versionFound(found), this.#ports());
  }

  /** Starts the guard, takes the cgroups, then every eager plugin, in parallel where none requires the other. */
  async startAll(): Promise<void> {
    await this.#guard.start();
    this.#limits = takeCgroups(this.#options, this.#guard);
    const keptFolder = this.#options.keptFolder?.() ?? null;
    this.#versions.open(keptFolder === null ? null : new VersionStore(keptFolder));
    await this.#updates.applyPins();
    // Where there is no room for all, the last to be shed is the first to be asked for.
    const eager = this.#roster
      .supervisors()
      .filter((each) => each.manifest.start === "eager" && each.wanted() !== "disabled")
      .sort((a, b) => this.#options.order.indexOf(b.name) - this.#options.order.indexOf(a.name));
    await Promise.all(
      eager.map((supervisor) => supervisor.start("started with conductor", { automatic: true })),
    );
  }

  #ports(): SupervisorPorts {
    const { clock, random, log, publisher, environment, runId, selfCommand, graceMs } = this.#options;
    return {
      clock,
      random,
      graceMs,
      instance: {
        clock,
        runId,
        environment,
        selfCommand,
        limits: {
          apply: (plugin, limits, number) =>
            this.#limits?.apply(plugin, limits, number) ?? limitsWithoutCgroups(limits, "conductor starts"),
          watch: (root, limitBytes, onOver) => this.#watch.add(root, limitBytes, onOver),
        },
        sandbox: {
          pluginNames: () => this.#roster.names(),
          hiddenPaths: () => this.#options.hiddenPaths?.() ?? [],
          withhold: this.#options.withhold ?? [],
        },
        guard: this.#guard,
        events: this.#options.events,
        never: () => this.#never(),
      },
      requirements: (plugin, requires) => this.#requirements.met(plugin, requires),
      mayStart: (plugin) => this.#mayStart(plugin),
      neededBy: (plugin) => this.#requirements.runningDependent(plugin),
      reset: async (version) => (this.#closing ? null : runReset(version, this.#ports())),
      check: (instance) => this.#check(instance, { timeoutMs: this.#options.healthTimeoutMs ?? 2_000 }),
      plan: (version) => this.#planner.plan(version),
      changed: ({ plugin, from, to, reason }) => {
        log.info("plugin.state", { plugin, from, to, reason });
        publisher.publish("plugin.state", { plugin, from, to, reason });
        this.#requirements.follow(plugin, to, reason);
        const supervisor = this.#roster.supervisor(plugin);
        if (to === "ready" && supervisor) this.#versions.proven(supervisor);
      },
      exited: ({ report: { status, cause }, ...rest }) =>
        publisher.publish("plugin.exit", { ...rest, ...status, outOfMemory: cause.kind === "oom" }),
      counted: (plugin, instances) => publisher.publish("plugin.instances", { plugin, instances }),
      emitLog: (plugin, stream, line) => publisher.publish("plugin.log", { plugin, stream, line }),
      noted: (plugin, what) => log.warn("plugin.output", { plugin, what }),
    };
  }

  #never(): ReadonlySet<number> {
    return new Set([process.pid, ...(this.#guard.pid === null ? [] : [this.#guard.pid])]);
  }

  #mayStart(plugin: string): Permission {
    if (this.#closing) return { ok: false, reason: "conductor is ending" };
    return this.isPart(plugin) ? { ok: true } : this.#options.mayStart(plugin);
  }

  /** Every plugin, the invalid ones too, in the order of discovery. */
  list(): PluginView[] {
    return this.#roster.views();
  }

  /** One plugin; null when there is none of that name. */
  view(name: string): PluginView | null {
    return this.#roster.view(name);
  }

  /** Every plugin as it stands, in the order of `list`: live, and the same objects until one comes or goes. */
  standings(): readonly Standing[] {
    return this.#roster.standings();
  }

  /** Whether it is a part of conductor, which no list names. */
  isPart = (name: string): boolean => this.#roster.partOf(name) !== null;

  /** How one plugin stands, live; null when there is none of that name. */
  standing(name: string): Standing | null {
    return this.#roster.standing(name);
  }

  /** The platforms that plugins serve, in the order of discovery. */
  platforms(): string[] {
    return this.#roster.platforms();
  }

  /** The plugin for a platform's next request: one that serves, else one that can; null when no plugin has it. */
  serving(platform: string): Standing | null {
    return this.#roster.serving(platform);
  }

  #find(name: string): Supervisor | Refusal {
    const supervisor = this.#roster.supervisor(name);
    if (supervisor) return supervisor;
    const view = this.view(name);
    if (view) return { ok: false, code: "invalid", message: `${name} is invalid: ${view.reason}` };
    return { ok: false, code: "unknown-plugin", message: `${name}: no such plugin` };
  }

  async #start(name: string, reason: string, from: { shed: boolean; disabled: boolean }): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    const refusal = keptDown(supervisor, from);
    if (refusal) return refusal;
    const outcome = await supervisor.start(reason);
    return outcome.ok ? outcome : { ok: false, code: "start-failed", message: outcome.message };
  }

  async #stop(name: string, intent: StopIntent, how: HowToStop): Promise<Stopped> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    const disabled = supervisor.wanted() === "disabled";
    if (disabled && supervisor.instances.length === 0 && intent !== "disabled")
      return { ok: false, code: "disabled", message: `${name} is disabled already` };
    const graceMs = Math.min(this.#options.graceMs, how.drainMs ?? Number.POSITIVE_INFINITY);
    const urgent = how.urgent ?? false;
    const why = `requires ${name}, which is ${intent}: ${how.reason}`;
    const before = this.#requirements.block(name, { urgent, reason: why });
    // One that is still ending can be waited for and hastened, and stays disabled.
    const wanted = disabled ? "disabled" : intent;
    const stopping = supervisor.stop(wanted, {
      urgent,
      graceMs,
      reason: how.reason,
      ...(before ? { before } : {}),
    });
    const [report] = await Promise.all([stopping, before]);
    return { ok: true, report };
  }

  /** Starts one that is stopped, failed or in a crash loop, and waits until it is ready. */
  start(name: string, reason = "started by hand"): Promise<Started> {
    return this.#start(name, reason, { shed: false, disabled: false });
  }

  /** Stops one until it is started by hand; those that require it first. */
  stop(name: string, reason = "stopped by hand"): Promise<Stopped> {
    return this.#stop(name, "stopped", { reason });
  }

  /** Stops one for memory: only `restore` and `enable` start it again. Urgent kills at once. */
  shed(name: string, how: HowToStop): Promise<Stopped> {
    return this.#stop(name, "shed", how);
  }

  /** Sends SIGKILL to all that runs of it; an urgent `shed`, which does the rest, has to follow in the same turn. */
  strike = (name: string): void => strike(this.#roster.supervisor(name));

  /** Kills at once what is being stopped gently, those that require it too. */
  hasten(name: string): void {
    this.#roster.supervisor(name)?.hasten();
    for (const dependent of this.#roster.dependentsOf(name))
      if (dependent.state === "draining") this.hasten(dependent.name);
  }

  /** Starts a shed one and waits until it is ready. */
  restore(name: string, reason = "restored"): Promise<Started> {
    return this.#start(name, reason, { shed: true, disabled: false });
  }

  /** Stops one until it is enabled, after a restart of conductor too. */
  disable(name: string): Promise<Stopped> {
    return this.#disabled.disable(name);
  }

  /** Starts one whatever kept it from running. */
  enable(name: string, reason = "enabled by hand"): Promise<Started> {
    return this.#disabled.enable(name, reason);
  }

  /** What was disabled before conductor was started is so still. To be called before anything is started. */
  holdDisabled(): void {
    this.#disabled.holdAll();
  }

  /** Stops one gently and starts it again; requests wait meanwhile. */
  async restart(name: string, reason = "restarted by hand"): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    if (!isServing(supervisor.state)) {
      const wanted = supervisor.wanted();
      if (wanted === "run") await this.#stop(name, "stopped", { reason });
      return this.start(name, reason);
    }
    const outcome = await supervisor.replace(supervisor.version, { beside: false, reason });
    return outcome.ok ? outcome : { ok: false, code: "start-failed", message: outcome.message };
  }

  /** Looks for new, changed and vanished plugins, and acts on what it finds. */
  async rescan(): Promise<void> {
    if (!this.#closing) await this.#updates.rescan();
  }

  /** The plugin as it now lies in its folder takes over from what runs. */
  async reload(name: string, reason = "reloaded by hand"): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    return keptDown(supervisor, { shed: false, disabled: false }) ?? this.#updates.reload(name, reason);
  }

  /** The version that ran well before takes over, until the folder holds something new. */
  async rollback(name: string, reason = "rolled back by hand"): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    return keptDown(supervisor, { shed: false, disabled: false }) ?? this.#updates.rollback(name, reason);
  }

  /** So many processes of it, from now on. */
  async scale(name: string, instances: number): Promise<Started> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return supervisor;
    const refusal = tooMany(supervisor, instances);
    if (refusal) return refusal;
    await supervisor.scale(instances);
    return { ok: true, notes: supervisor.shortfall === null ? [] : [supervisor.shortfall] };
  }

  /** Sends one request, starting a lazy plugin. Never rejects. */
  async dispatch(name: string, request: PluginRequest, options: CallOptions): Promise<CallResult> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return failed("unavailable", supervisor.message);
    return dispatchTo(supervisor, request, options, this.#options.clock);
  }

  #check(instance: Instance, options: CallOptions): Promise<CallResult<HealthReport>> {
    const { clock, runId, environment } = this.#options;
    const never = () => this.#never();
    return checkHealth({ instance, clock, runId, environment, never }, options);
  }

  /** Asks one plugin how it is. A plugin that serves becomes ready or degraded by the answer. Never rejects. */
  async checkHealth(name: string, options: CallOptions): Promise<CallResult<HealthReport>> {
    const supervisor = this.#find(name);
    if (!(supervisor instanceof Supervisor)) return failed("unavailable", supervisor.message);
    const failures = this.#options.healthFailures ?? 3;
    return checkMembers(supervisor, (instance, each) => this.#check(instance, each), failures, options);
  }

  /** Where the memory of each running plugin, and part of conductor, is to be measured. */
  footprintTargets(): FootprintTarget[] {
    return this.#roster
      .supervisors()
      .flatMap(({ name, instances }) => instances.flatMap((instance) => footprintTarget(name, instance)));
  }

  async #remove(supervisor: Supervisor): Promise<void> {
    await this.#stop(supervisor.name, "disabled", { reason: "its folder is gone" });
    this.#roster.drop(supervisor.name);
  }

  /** Ends every plugin, each before what it requires, within `totalMs`; then the cgroups and the guard. */
  async shutdown(totalMs = shutdownMs): Promise<{ gone: boolean }> {
    this.#closing = true;
    this.#folders.stop();
    this.#requirements.close("conductor is ending");
    const gone = await stopInOrder(this.#roster.inOrder(), {
      clock: this.#options.clock,
      totalMs,
      graceMs: this.#options.graceMs,
    });
    if (gone && this.#limits?.release() === false)
      this.#options.log.warn("plugins.cgroups_left", {
        folders: this.#limits.runFolders.map(({ folder }) => folder),
      });
    // What is not gone is left to the guard, which goes on killing after us.
    if (gone) await this.#guard.close();
    return { gone };
  }
}
