/** `PluginCall` over the plugin manager, with the executable that ships: as the composition root will fill it. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import {
  type PluginCall,
  PluginFailure,
  type PluginFailureKind,
  type PluginRequestTerms,
} from "../../src/models/plugin-call.ts";
import { footprints } from "../../src/monitor/footprint.ts";
import { partManifest } from "../../src/plugins/bundled.ts";
import { PluginManager } from "../../src/plugins/manager.ts";
import type { CallFailure, FailureKind } from "../../src/plugins/transport.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { executable } from "../e2e/running-conductor.ts";
import { processesOf } from "../plugins/harness.ts";

const kinds: Partial<Record<FailureKind, PluginFailureKind>> = {
  timeout: "timeout",
  crashed: "crashed",
  stopped: "crashed",
  unavailable: "gone",
  cancelled: "cancelled",
};

const thrown = ({ kind, message }: CallFailure) => new PluginFailure(kinds[kind] ?? "error", message);

let runs = 0;
let requests = 0;

export class ManagedPluginCall implements PluginCall {
  readonly name = "llama";
  readonly #runId = `llama-${process.pid}-${runs++}`;
  readonly #manager: PluginManager;
  readonly #listeners = new Set<(end: { cause: string; outOfMemory: boolean }) => void>();

  /** Its end is asked for here; any other, a shed too, is told to the engine. */
  #stopping = false;

  private constructor(
    manifest: { name: string; manifestText: string },
    stateFolder: string,
    library: string,
  ) {
    this.#manager = new PluginManager({
      dirs: [],
      bundled: [manifest],
      config: { llama: library === "" ? {} : { folder: library } },
      order: [],
      graceMs: 2_000,
      startTimeoutMs: 10_000,
      clock: new SystemClock(),
      log: silentLog,
      publisher: {
        publish: (name, data) => {
          if (name !== "plugin.exit" || !("outOfMemory" in data) || this.#stopping) return;
          const cause = this.#manager.standing("llama")?.reason ?? "it ended";
          for (const listener of this.#listeners) listener({ cause, outOfMemory: data.outOfMemory });
        },
      },
      random: () => 0.5,
      runId: this.#runId,
      selfCommand: [executable],
      environment: process.env,
      dataFolder: (plugin) => join(stateFolder, plugin),
      mayStart: () => ({ ok: true }),
      cgroupPlace: null,
    });
  }

  /** `library`: where node-llama-cpp is installed; "" for the plugin's data folder. */
  static async open(stateFolder: string, library: string): Promise<ManagedPluginCall> {
    mkdirSync(stateFolder, { recursive: true, mode: 0o711 });
    const opened = new ManagedPluginCall(await partManifest("llama"), stateFolder, library);
    const { errors } = await opened.#manager.discover();
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join("\n"));
    return opened;
  }

  /** Living processes of the plugin. */
  pids(): number[] {
    return this.#manager.footprintTargets().length === 0
      ? []
      : processesOf(this.#runId).filter((pid) => pid !== process.pid);
  }

  async start() {
    this.#stopping = false;
    const started = await this.#manager.enable("llama", "its model is wanted");
    return started.ok ? { ok: true as const } : { ok: false as const, message: started.message };
  }

  async *request(
    type: string,
    payload: Json,
    { timeoutMs, signal }: PluginRequestTerms,
  ): AsyncGenerator<Json> {
    const request = { id: `request-${++requests}`, platform: "llama", type, payload };
    const stream = { idleMs: timeoutMs, refuse: () => null };
    const answer = await this.#manager.dispatch("llama", request, { timeoutMs, signal, stream });
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
    const stopped = await this.#manager.shed("llama", { reason: "its model is unloaded", drainMs: graceMs });
    return { gone: stopped.ok ? stopped.report.gone : stopped.code === "disabled" };
  }

  /** Stops it as the scaler does, past the engine. */
  async shed(): Promise<void> {
    await this.#manager.shed("llama", { reason: "memory is short", urgent: true });
  }

  footprintBytes(): number | null {
    const targets = this.#manager.footprintTargets().map(({ plugin, rootPids }) => ({
      plugin,
      rootPids,
      cgroups: [],
      rootPidsOutside: rootPids,
    }));
    return targets.length === 0 ? null : (footprints(targets)[0]?.bytes ?? null);
  }

  onExit(listener: (end: { cause: string; outOfMemory: boolean }) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends all; fails when a process is left. */
  async end(): Promise<void> {
    const { gone } = await this.#manager.shutdown();
    const left = processesOf(this.#runId);
    if (!gone || left.length > 0) throw new Error(`left behind: ${left.join(", ")} (gone: ${gone})`);
  }
}
