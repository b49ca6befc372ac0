/** One process of a plugin with nothing between it and the caller: for calls that the manager would never make. */

import type { Json } from "../../sdk/plugin.ts";
import { ByteSocket } from "../byte-socket.ts";
import { childEnvironment, environmentMark } from "../child-environment.ts";
import { openFrameTransport } from "../frame-transport.ts";
import type { InstancePlan } from "../instance-ports.ts";
import { planSandbox, type SandboxPorts } from "../launch/sandbox-plan.ts";
import { openLineTransport } from "../line-transport.ts";
import { LogLines } from "../log-lines.ts";
import type { Manifest } from "../manifest.ts";
import { type PluginProcess, spawnPlugin } from "../plugin-process.ts";
import { terminate } from "../termination.ts";
import type { CallResult, OpenTransport, TransportCounters } from "../transport.ts";
import { type ContractOptions, settingsOf } from "./options.ts";

/** What the process is started from. */
export interface RawPlan {
  manifest: Manifest;
  /** Where its files lie. */
  folder: string;
  dataFolder: string;
  options: ContractOptions;
  /** A line that it wrote. */
  onLine(stream: "stdout" | "stderr" | "log", line: string): void;
}

/** No instance of the manager has this number. */
const instance = 0;

const sandboxPorts = (plugin: string): SandboxPorts => ({
  pluginNames: () => [plugin],
  hiddenPaths: () => [],
  withhold: [],
});

export class RawProcess {
  readonly #sockets: ByteSocket[] = [];
  /** What the latest output was that is no message; null when all were. */
  garbage: string | null = null;
  /** How it ended, once it has. */
  ended: string | null = null;
  #open: OpenTransport | null = null;

  private constructor(
    readonly plan: RawPlan,
    readonly process: PluginProcess,
  ) {}

  /** Starts it, without initializing it. Throws with the reason. */
  static async start(plan: RawPlan): Promise<RawProcess> {
    const { manifest, folder, options } = plan;
    const { name, runtime, permissions } = manifest;
    const { runId, selfCommand, clock, startTimeoutMs } = options;
    const { dataFolder } = plan;
    const plugin = { name, runtime, runId, instance, dataFolder };
    const instancePlan: InstancePlan = {
      ...{ manifest, number: instance, folder, dataFolder, owner: name, environment: {} },
      ...{ config: settingsOf(options, name), startTimeoutMs, oomScoreAdj: null },
    };
    const spawned = spawnPlugin({
      ...{ plugin: name, runId, instance, selfCommand, clock, folder },
      command: runtime === "exec" ? manifest.command : [...selfCommand, "__host", name],
      environment: childEnvironment(options.environment, permissions.env, plugin),
      ...{ cgroupProcsFiles: [], niceness: null, limitProcesses: false, oomScoreAdj: null },
      channel: runtime === "bun" ? "calls" : "stdin",
      sandbox: (program) => planSandbox(instancePlan, sandboxPorts(name), program, selfCommand),
    });
    if (!spawned.ok) throw new Error(spawned.message);
    const raw = new RawProcess(plan, spawned.process);
    await raw.#connect();
    const launched = await spawned.process.launched;
    if (!launched.ok) throw new Error(launched.message);
    void spawned.process.exited.then(({ exitCode, signal }) => {
      raw.ended = `it ended with ${signal ?? `exit code ${exitCode}`}`;
      raw.#open?.transport.close("crashed", raw.ended);
    });
    return raw;
  }

  async #connect(): Promise<void> {
    const { fds } = this.process;
    const { clock } = this.plan.options;
    const events = {
      notice: ({ params }: { params: Json }) => {
        const { message, fields } = (params ?? {}) as { message?: Json; fields?: Json };
        if (message !== undefined) this.plan.onLine("log", `${message} ${JSON.stringify(fields ?? {})}`);
      },
      junk: (what: string) => {
        this.garbage = what;
      },
    };
    await this.#readLines(fds.stderr, "stderr");
    if (this.plan.manifest.runtime === "bun") {
      await this.#readLines(fds.stdout, "stdout");
      this.#open = await openFrameTransport(fds.channel, clock, events);
    } else this.#open = await openLineTransport(fds, clock, events);
  }

  async #readLines(fd: number, stream: "stdout" | "stderr"): Promise<void> {
    const { clock } = this.plan.options;
    const lines = new LogLines(
      clock,
      (line) => this.plan.onLine(stream, line),
      this.plan.manifest.limits.logBytesPerSecond,
    );
    this.#sockets.push(
      await ByteSocket.open(fd, clock, { data: (chunk) => lines.push(chunk), closed: () => lines.end() }),
    );
  }

  get counters(): Readonly<TransportCounters> {
    if (!this.#open) throw new Error("it was not connected");
    return this.#open.transport.counters;
  }

  /** What it is initialized with. */
  get settings(): Record<string, Json> {
    return settingsOf(this.plan.options, this.plan.manifest.name);
  }

  /** Never rejects. */
  async call(method: string, params: Json, timeoutMs: number, giveUp?: AbortSignal): Promise<CallResult> {
    if (!this.#open) throw new Error("it was not connected");
    const { signal: all } = this.plan.options;
    const signal = giveUp ? AbortSignal.any([all, giveUp]) : all;
    return this.#open.transport.call(method, params, { timeoutMs, signal });
  }

  /** A request as the conductor sends it. */
  request(id: string, signal?: AbortSignal): Promise<CallResult> {
    const { manifest, options } = this.plan;
    const { requestTimeoutMs: deadlineMs } = manifest.limits;
    const request = { id, platform: manifest.platform, type: options.type, payload: options.payload };
    return this.call("handle_request", { request, deadlineMs }, deadlineMs, signal);
  }

  /** A message that wants no answer. */
  notify(method: string, params: Json): void {
    this.#open?.transport.notify(method, params);
  }

  /** The first call of a plugin's life, as the conductor makes it. */
  initialize(): Promise<CallResult> {
    const { manifest, folder, dataFolder, options } = this.plan;
    const config = this.settings;
    const params =
      manifest.runtime === "bun"
        ? { config, name: manifest.name, folder, entry: manifest.entry, dataFolder }
        : { config };
    return this.call("initialize", params, options.startTimeoutMs);
  }

  /** Ends it with everything that it started. */
  async end(): Promise<void> {
    const { options } = this.plan;
    await terminate(
      {
        root: this.process,
        exited: this.process.exited,
        cgroup: null,
        beforeKill: () => undefined,
        mark: environmentMark(options.runId, instance),
        never: new Set([process.pid]),
      },
      { graceMs: options.graceMs, urgent: new AbortController().signal, clock: options.clock },
    );
    for (const socket of this.#sockets) socket.close();
    this.#open?.dispose();
  }
}
