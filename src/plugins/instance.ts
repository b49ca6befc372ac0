/** One running process of a plugin, from its start to the end of everything it left behind. */

import { type Clock, sleep } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import type { Json } from "../sdk/plugin.ts";
import { childEnvironment, environmentMark } from "./child-environment.ts";
import { unlessItEnds } from "./closed-channel.ts";
import type { PermissionsEnforced } from "./enforcement.ts";
import { EventDelivery } from "./event-delivery.ts";
import { type ExitCause, type ExitFacts, exitCause } from "./exit-cause.ts";
import { openFrameTransport } from "./frame-transport.ts";
import type { InitializeParams } from "./host.ts";
import { readHostOomKills } from "./host-oom-kills.ts";
import type { InstancePlan, InstancePorts } from "./instance-ports.ts";
import { planSandbox } from "./launch/sandbox-plan.ts";
import {
  type LimitInForce,
  liftCpuQuota,
  limitsWithoutCgroups,
  withLaunched,
  withoutNotEntered,
} from "./limit-in-force.ts";
import { openLineTransport } from "./line-transport.ts";
import { OutputStreams } from "./output-streams.ts";
import { type ExitStatus, type PluginProcess, type SpawnOptions, spawnPlugin } from "./plugin-process.ts";
import type { ProcessId } from "./proc-table.ts";
import { signalProcess } from "./process-family.ts";
import { takeNotice } from "./take-notice.ts";
import { strike, type Target, terminate } from "./termination.ts";
import {
  type CallOptions,
  type CallResult,
  type FailureKind,
  failed,
  type Notice,
  type OpenTransport,
  type TransportCounters,
} from "./transport.ts";

export type StartResult = { ok: true } | { ok: false; message: string };

/** The end of an instance: everything of it is gone, or could not be made to go. */
export interface EndReport {
  status: ExitStatus;
  cause: ExitCause;
  /** Processes that outlived it and were killed. */
  leftBehind: number;
  gone: boolean;
  /** It had to be killed. */
  killed: boolean;
  /** The last line it wrote to stderr; null when it wrote none. */
  lastLine: string | null;
}

export interface StopOptions {
  /** Straight to SIGKILL. */
  urgent: boolean;
  /** For drain and the shutdown call together, and again from SIGTERM to SIGKILL. */
  graceMs: number;
  /** Resolves when no request is worked on. */
  idle: () => Promise<void>;
}

const methodNotFound = -32_601;
const noCounters: TransportCounters = {
  lateAnswers: 0,
  unknownAnswers: 0,
  garbageMessages: 0,
  droppedBytes: 0,
};

export class Instance {
  readonly plan: InstancePlan;
  readonly #ports: InstancePorts;
  readonly #clock: Clock;
  readonly #events: EventDelivery;
  readonly #urgent = new AbortController();
  readonly #ended = Promise.withResolvers<EndReport>();
  /** Settles when the process has ended and what it left behind is gone. Never, when it could not be started. */
  readonly ended: Promise<EndReport> = this.#ended.promise;
  limit: LimitInForce;
  /** What holds it to its permissions; null until its program runs. */
  permissions: PermissionsEnforced | null = null;
  readonly #output: OutputStreams;
  #process: PluginProcess | null = null;
  #open: OpenTransport | null = null;
  #stopping: Promise<EndReport> | null = null;
  #stoppedByUs: ExitFacts["stoppedByUs"] = "no";
  #struck = false;
  /** Its process ended before anyone stopped it. */
  endedByItself = false;
  #stopWatch: (() => void) | null = null;
  /** What it held when it was killed for holding more than its limit. */
  #overLimitBytes: number | null = null;
  #killedBecause: string | null = null;
  #oomBefore: { cgroup: number | null; host: number | null } = { cgroup: null, host: null };

  constructor(plan: InstancePlan, ports: InstancePorts) {
    this.plan = plan;
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#events = new EventDelivery(plan.manifest.name, ports.events);
    this.limit = limitsWithoutCgroups(plan.manifest.limits, "it was not started");
    this.#output = new OutputStreams(ports.clock, plan.manifest.limits.logBytesPerSecond, ports.emitLog);
  }

  get root(): ProcessId | null {
    return this.#process;
  }

  /** Bytes of stdout and stderr thrown away because there was too much. */
  get logDroppedBytes(): number {
    return this.#output.droppedBytes;
  }

  /** The last line it wrote to stderr; null when it wrote none. */
  get lastLine(): string | null {
    return this.#output.lastLine;
  }

  get counters(): Readonly<TransportCounters> {
    return this.#open?.transport.counters ?? noCounters;
  }

  /** Starts the process and initializes the plugin in it. After a failure the caller stops it. */
  async start(): Promise<StartResult> {
    const { manifest, number } = this.plan;
    this.limit = this.#ports.limits.apply(manifest.name, manifest.limits, number);
    this.#oomBefore = { cgroup: this.limit.cgroup?.oomKills() ?? null, host: readHostOomKills() };
    const spawned = spawnPlugin({
      ...this.launchOptions,
      command:
        manifest.runtime === "exec"
          ? manifest.command
          : [...this.#ports.selfCommand, "__host", manifest.name],
      environment: this.#environment(),
      channel: manifest.runtime === "bun" ? "calls" : "stdin",
    });
    if (!spawned.ok) {
      this.#removeCgroups();
      return spawned;
    }
    const child = spawned.process;
    this.#process = child;
    this.#ports.guard.add(child);
    void child.exited.then((status) => this.#exited(status));
    try {
      await this.#connect(child);
    } catch (error) {
      return { ok: false, message: `its sockets cannot be opened: ${error}` };
    }
    const launched = await this.#launched(child);
    return launched.ok ? this.#initialize() : launched;
  }

  /** Waits until the program itself runs, and keeps what holds it. */
  async #launched(child: PluginProcess): Promise<StartResult> {
    const launched = await child.launched;
    if (!launched.ok) return launched;
    const { permissions, openFiles, processes, cgroupProblems } = launched.report;
    this.permissions = permissions;
    this.limit = withLaunched(withoutNotEntered(this.limit, this.plan.manifest.limits, cgroupProblems), {
      openFiles,
      processes,
    });
    this.#watchMemory(child);
    return { ok: true };
  }

  /** How any program of this plugin is started: with the same permissions and limits. */
  get launchOptions(): Omit<SpawnOptions, "command" | "environment" | "channel"> {
    const { clock, selfCommand, runId, sandbox } = this.#ports;
    const { manifest, folder, oomScoreAdj } = this.plan;
    return {
      plugin: manifest.name,
      runId,
      instance: this.plan.number,
      selfCommand,
      clock,
      folder: folder ?? "/",
      cgroupProcsFiles: this.limit.procsFiles,
      niceness: this.limit.niceness,
      limitProcesses: this.limit.processesWithoutCgroup !== null,
      oomScoreAdj,
      sandbox: (program) => planSandbox(this.plan, sandbox, program, selfCommand),
    };
  }

  /** Where no cgroup holds its memory, we do: it ends as after a kill by the kernel. */
  #watchMemory(child: PluginProcess): void {
    const { watchBytes } = this.limit;
    if (watchBytes === null) return;
    this.#stopWatch = this.#ports.limits.watch(child, watchBytes, (heldBytes, pids) => {
      this.#overLimitBytes = heldBytes;
      signalProcess(-child.pid, "SIGKILL");
      for (const pid of pids) signalProcess(pid, "SIGKILL");
    });
  }

  /** Kills what can not be of use any more: it has ended by itself then, for this reason. */
  giveUp(because: string): void {
    if (!this.#process || this.#stopping || this.endedByItself) return;
    this.#killedBecause ??= because;
    signalProcess(-this.#process.pid, "SIGKILL");
  }

  #removeCgroups(): void {
    for (const cgroup of this.limit.cgroups) cgroup.remove();
  }

  #environment(): Record<string, string> {
    const { name, runtime, permissions } = this.plan.manifest;
    const usual = childEnvironment(this.#ports.environment, permissions.env, {
      name,
      runtime,
      runId: this.#ports.runId,
      instance: this.plan.number,
      dataFolder: this.plan.dataFolder,
    });
    // Last: the marks by which it is found.
    return { ...this.plan.environment, ...usual };
  }

  async #connect({ exited, fds }: PluginProcess): Promise<void> {
    const { manifest } = this.plan;
    const closed = (which: string) => {
      const because = `it closed ${which} and went on, so it could answer nothing`;
      void unlessItEnds(this.#clock, exited, () => this.giveUp(because));
    };
    const events = {
      notice: (notice: Notice) => takeNotice(notice, this.#ports),
      junk: (what: string) => this.#ports.junk(what),
    };
    const speaksRpc = manifest.runtime === "exec" && manifest.protocol === "jsonrpc";
    await this.#output.read(fds.stderr, "stderr");
    if (!speaksRpc) await this.#output.read(fds.stdout, "stdout");
    if (manifest.runtime === "bun")
      this.#open = await openFrameTransport(fds.channel, this.#clock, events, closed);
    else if (speaksRpc) this.#open = await openLineTransport(fds, this.#clock, events, closed);
    else await this.#output.hold(fds.channel);
  }

  async #initialize(): Promise<StartResult> {
    const { manifest, config, folder, dataFolder, startTimeoutMs } = this.plan;
    const transport = this.#open?.transport;
    if (!transport) return { ok: true };
    const params: InitializeParams = {
      config,
      name: manifest.name,
      folder,
      entry: manifest.runtime === "bun" && folder !== null ? manifest.entry : null,
      dataFolder,
      module: this.plan.owner,
    };
    const sent = manifest.runtime === "bun" ? (params as unknown as Json) : { config };
    const answer = await this.call("initialize", sent, { timeoutMs: startTimeoutMs });
    if (!answer.ok) {
      if (answer.rpcCode === methodNotFound && manifest.runtime === "exec")
        return this.#events.begin(transport, manifest.events, null);
      return { ok: false, message: `initialize failed: ${answer.message}` };
    }
    const { value } = answer;
    const refused =
      typeof value === "object" && value !== null && !Array.isArray(value) && value.ok === false;
    return refused
      ? { ok: false, message: `initialize failed: it answered ${JSON.stringify(value).slice(0, 200)}` }
      : this.#events.begin(transport, manifest.events, value);
  }

  /** Never rejects. */
  async call(method: string, params: Json, options: CallOptions): Promise<CallResult> {
    if (!this.#open) return failed("unavailable", "it takes no calls (protocol: none)");
    return this.#open.transport.call(method, params, options);
  }

  #target(child: PluginProcess): Target {
    return {
      root: child,
      exited: child.exited,
      // Any of them holds the whole family.
      cgroup: this.limit.cgroups[0] ?? null,
      mark: environmentMark(this.#ports.runId, this.plan.number),
      never: this.#ports.never(),
      beforeKill: () => liftCpuQuota(this.limit),
    };
  }

  /** Fails what is in flight, but for what it has answered already. */
  #closeCalls(kind: FailureKind, message: string): void {
    this.#open?.readRest();
    this.#open?.transport.close(kind, message);
  }

  /** It ended by itself: whatever it left behind ends now. */
  async #exited(status: ExitStatus): Promise<void> {
    const child = this.#process;
    if (!child) return;
    this.#events.stop();
    if (this.#stopping) {
      this.#closeCalls("stopped", "it was stopped");
      return;
    }
    this.endedByItself = true;
    const cause = this.#cause(status);
    this.#closeCalls("crashed", cause.text);
    const urgent = AbortSignal.abort();
    const { gone, leftBehind } = await terminate(this.#target(child), {
      graceMs: 0,
      urgent,
      clock: this.#clock,
    });
    if (!this.#stopping) await this.#finish(child, { status, cause, gone, leftBehind, killed: false });
  }

  #cause(status: ExitStatus): ExitCause {
    const now = { cgroup: this.limit.cgroup?.oomKills() ?? null, host: readHostOomKills() };
    const since = (after: number | null, before: number | null) =>
      after === null || before === null ? null : after - before;
    return exitCause({
      ...status,
      oomKillsInCgroup: since(now.cgroup, this.#oomBefore.cgroup),
      oomKillsOnHost: since(now.host, this.#oomBefore.host),
      limitBytes: this.limit.enforced.memory.mechanism ? this.plan.manifest.limits.memoryBytes : null,
      overLimitBytes: this.#overLimitBytes,
      killedBecause: this.#killedBecause,
      stoppedByUs: this.#stoppedByUs,
    });
  }

  async #finish(child: PluginProcess, report: Omit<EndReport, "lastLine">): Promise<EndReport> {
    this.#stopWatch?.();
    await this.#output.finish();
    this.#open?.dispose();
    if (report.gone) {
      this.#ports.guard.remove(child);
      this.#removeCgroups();
    }
    const whole = { ...report, lastLine: this.lastLine };
    this.#ended.resolve(whole);
    return whole;
  }

  /**
   * Kills at once what `stop` is still ending gently, or what an urgent `stop` is about to end in the same turn: the signal
   * is sent when this returns. Called again it does nothing.
   */
  hasten(): void {
    if (this.#process && !this.#struck && !this.endedByItself) {
      this.#struck = true;
      strike(this.#target(this.#process));
    }
    this.#urgent.abort();
  }

  /** Ends it: drain, shutdown call, TERM, grace, KILL; and makes sure. Called twice, both get the same report. */
  stop(options: StopOptions): Promise<EndReport> {
    if (options.urgent) this.hasten();
    this.#stopping ??= this.#stop(options);
    return this.#stopping;
  }

  async #stop({ graceMs, idle }: StopOptions): Promise<EndReport> {
    const child = this.#process;
    if (!child) throw new Error("an instance that never started cannot be stopped");
    this.#events.stop();
    if (!this.#urgent.signal.aborted) await this.#settle(graceMs, idle, child);
    this.#stoppedByUs = "term";
    const given = this.#urgent.signal.aborted ? "at once" : `after ${formatDuration(graceMs)} to finish`;
    this.#closeCalls("stopped", `it was stopped before it had answered, ${given}`);
    const done = await terminate(this.#target(child), {
      graceMs,
      urgent: this.#urgent.signal,
      clock: this.#clock,
    });
    const status = done.gone ? await child.exited : { exitCode: null, signal: null };
    // Once struck it may be gone before `terminate` looks; one that ended by itself just before was not killed.
    const killed = done.killed || (this.#struck && status.signal === "SIGKILL");
    if (killed) this.#stoppedByUs = this.#urgent.signal.aborted ? "urgent" : "kill";
    return this.#finish(child, { ...done, killed, status, cause: this.#cause(status) });
  }

  /** Waits for requests in flight, then asks it to shut down; all within `graceMs`. */
  async #settle(graceMs: number, idle: () => Promise<void>, child: PluginProcess): Promise<void> {
    const endMs = this.#clock.monotonicMs() + graceMs;
    const enough = new AbortController();
    const signal = AbortSignal.any([this.#urgent.signal, enough.signal]);
    const patience = sleep(this.#clock, graceMs, signal).catch(() => undefined);
    await Promise.race([idle(), patience, child.exited]);
    const leftMs = endMs - this.#clock.monotonicMs();
    if (this.#open && leftMs > 0 && !this.#urgent.signal.aborted)
      await this.call("shutdown", {}, { timeoutMs: leftMs, signal: this.#urgent.signal });
    enough.abort();
  }
}
