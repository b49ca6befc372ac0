/** The processes that language models run in: parts of conductor, supervised, limited and ended as plugins are. */

import { parseYaml } from "../config/yaml.ts";
import type { EventBus } from "../events/bus.ts";
import {
  type PluginCall,
  PluginFailure,
  type PluginFailureKind,
  type PluginRequestTerms,
} from "../models/plugin-call.ts";
import type { HostedProcess, ProcessEnd, ProcessHost, ProcessOrder } from "../models/process-host.ts";
import { graphicsDevices } from "../monitor/graphics-devices.ts";
import { partManifest } from "../plugins/bundled.ts";
import type { Registration } from "../plugins/discovery.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { CallFailure, FailureKind } from "../plugins/transport.ts";
import type { Json } from "../sdk/plugin.ts";

const mostName = 64;

/** The process of a tier, such as "llama-large"; by its place where that is too long for a name. */
export const processName = (engine: "llama" | "command", tier: string, place: number): string => {
  const name = `${engine === "llama" ? "llama" : "model"}-${tier}`;
  return name.length <= mostName ? name : `${engine === "llama" ? "llama" : "model"}-${place + 1}`;
};

/** The process of a GGUF: the bundled plugin `llama` under a name of its own, so that two can run side by side. */
export async function llamaRegistration(name: string): Promise<Registration> {
  const { manifestText } = await partManifest("llama");
  const yaml = parseYaml(manifestText, "llama/plugin.yaml");
  if (!yaml.ok) throw new Error(yaml.errors.join("\n"));
  const written = yaml.value as { permissions: object };
  const permissions = { ...written.permissions, devices: graphicsDevices() };
  return {
    manifest: { ...written, permissions, name },
    folder: null,
    part: { module: "llama", environment: {} },
  };
}

/** How a process ended that nobody here stopped, or that was stopped. */
interface PartEnd {
  cause: string;
  outOfMemory: boolean;
}

/** The ends of the processes, each told to the one that follows it now. */
class PartEnds {
  readonly #followers = new Map<string, (end: PartEnd) => void>();

  constructor(events: EventBus, manager: PluginManager) {
    events.on("plugin.exit", ({ plugin, outOfMemory }) => {
      const follow = this.#followers.get(plugin);
      if (!follow) return;
      const view = manager.view(plugin);
      follow({ cause: view?.lastExit?.text ?? view?.reason ?? "it ended", outOfMemory });
    });
  }

  /** In place of whoever followed it before. */
  follow(process: string, take: (end: PartEnd) => void): () => void {
    this.#followers.set(process, take);
    return () => {
      if (this.#followers.get(process) === take) this.#followers.delete(process);
    };
  }
}

export interface ModelProcessPorts {
  manager: PluginManager;
  events: EventBus;
  /** Measured now; null: not known. */
  footprintBytes(process: string): number | null;
}

const kinds: Partial<Record<FailureKind, PluginFailureKind>> = {
  timeout: "timeout",
  crashed: "crashed",
  stopped: "crashed",
  unavailable: "gone",
  cancelled: "cancelled",
};

const thrown = ({ kind, message }: CallFailure) => new PluginFailure(kinds[kind] ?? "error", message);

let requests = 0;

class LlamaProcess implements PluginCall {
  /** Its end is asked for here; any other is told to the engine. */
  #stopping = false;

  constructor(
    readonly name: string,
    private readonly ports: ModelProcessPorts,
    private readonly ends: PartEnds,
  ) {}

  async start() {
    this.#stopping = false;
    const started = await this.ports.manager.restore(this.name, "its model is wanted");
    return started.ok ? { ok: true as const } : { ok: false as const, message: started.message };
  }

  async *request(
    type: string,
    payload: Json,
    { timeoutMs, signal }: PluginRequestTerms,
  ): AsyncGenerator<Json> {
    const request = { id: `model-${++requests}`, platform: "llama", type, payload };
    const stream = { idleMs: timeoutMs, refuse: () => null };
    const answer = await this.ports.manager.dispatch(this.name, request, { timeoutMs, signal, stream });
    if (!answer.ok) throw thrown(answer);
    if (!answer.stream) {
      yield answer.value;
      return;
    }
    try {
      yield* answer.stream;
    } finally {
      answer.stream.cancel();
    }
    const failure = await answer.stream.done;
    if (failure) throw thrown(failure);
  }

  async stop(graceMs: number) {
    this.#stopping = true;
    return { gone: await ended(this.ports.manager, this.name, graceMs) };
  }

  footprintBytes(): number | null {
    return this.ports.footprintBytes(this.name);
  }

  onExit(listener: (end: PartEnd) => void): () => void {
    return this.ends.follow(this.name, (end) => {
      if (!this.#stopping) listener(end);
    });
  }
}

/** Ends it with all that it started; true: none is left. */
async function ended(manager: PluginManager, process: string, graceMs: number): Promise<boolean> {
  const stopped = await manager.shed(process, { reason: "its model is unloaded", drainMs: graceMs });
  return stopped.ok ? stopped.report.gone : stopped.code === "disabled" || stopped.code === "unknown-plugin";
}

export class ModelProcesses implements ProcessHost {
  readonly #ports: ModelProcessPorts;
  readonly #ends: PartEnds;
  /** Names of the processes by tier. */
  readonly #names: ReadonlyMap<string, string>;
  /** Programs that were handed to the manager; each is taken back when it has ended. */
  readonly #withdraw = new Map<string, () => void>();

  constructor(names: ReadonlyMap<string, string>, ports: ModelProcessPorts) {
    this.#names = names;
    this.#ports = ports;
    this.#ends = new PartEnds(ports.events, ports.manager);
  }

  /** The process of a tier; null: it has none of conductor's. */
  nameOf(tier: string): string | null {
    return this.#names.get(tier) ?? null;
  }

  /** One for each engine that is made: it follows the process from then on. */
  llama(tier: string): PluginCall {
    return new LlamaProcess(this.#named(tier), this.#ports, this.#ends);
  }

  #named(tier: string): string {
    const name = this.#names.get(tier);
    if (name === undefined) throw new Error(`the model ${tier} has no process`);
    return name;
  }

  /** SIGKILL before this returns, whatever it does: an emergency. */
  kill(tier: string): void {
    const process = this.nameOf(tier);
    if (process !== null)
      void this.#ports.manager.shed(process, {
        urgent: true,
        reason: "memory is short: its model goes first",
      });
  }

  async start({ name: tier, command, environment }: ProcessOrder): ReturnType<ProcessHost["start"]> {
    const { manager } = this.#ports;
    const process = this.#named(tier);
    // What an earlier life may have left.
    if (this.#withdraw.has(process)) await this.#end(process, 0);
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    this.#ends.follow(process, ({ cause, outOfMemory }) => resolve({ cause, outOfMemory, lastLine: null }));
    const manifest = {
      name: process,
      version: "1.0.0",
      runtime: "exec",
      protocol: "none",
      command: [...command],
      limits: { processes: mostProcesses },
      permissions: { net: true, devices: graphicsDevices() },
      health: { kind: "none" },
      recovery: { restart: "never" },
    };
    this.#withdraw.set(
      process,
      manager.register({ manifest, folder: null, part: { module: null, environment: { ...environment } } }),
    );
    // It is found, and so started.
    await manager.rescan();
    const started = await manager.start(process, "its model is wanted");
    if (!started.ok) {
      const { message } = started;
      await this.#end(process, 0);
      return { ok: false, missing: message.includes("no such program"), message };
    }
    return { ok: true, process: this.#hosted(process, promise, resolve) };
  }

  #hosted(process: string, end: Promise<ProcessEnd>, tell: (end: ProcessEnd) => void): HostedProcess {
    return {
      ended: end,
      footprintBytes: () => this.#ports.footprintBytes(process),
      stop: async (graceMs) => {
        const gone = await this.#end(process, graceMs);
        if (gone) tell({ cause: "was stopped", outOfMemory: false, lastLine: null });
        return { gone };
      },
    };
  }

  async #end(process: string, graceMs: number): Promise<boolean> {
    const gone = await ended(this.#ports.manager, process, graceMs);
    if (!gone) return false;
    this.#withdraw.get(process)?.();
    this.#withdraw.delete(process);
    await this.#ports.manager.rescan();
    return true;
  }
}

/** Threads count: a model server has one for each core, and for each request. */
const mostProcesses = 4_096;
