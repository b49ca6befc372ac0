/**
 * The compiled conductor in a memory cgroup of its own with a plugin that fills it on demand: `first` goes first in the
 * degradation order, `hog` second, `last` never. What it does is watched from outside, every millisecond.
 */

import { type HogStep, hogArguments, isListening } from "../../src/cli/drill/hog.ts";
import { CgroupMeter } from "../../src/monitor/cgroup-memory.ts";
import { isAlive, type ProcessId, readProcess } from "../../src/plugins/proc-table.ts";
import { MemoryCgroup } from "./memory-cgroup.ts";
import { executable, RunningConductor, until } from "./running-conductor.ts";

export const MiB = 2 ** 20;

export interface Pressed {
  /** Distinguishes cgroups that are there at the same time. */
  name: string;
  budgetBytes: number;
  /** `scaler:` settings beside the order, as YAML flow. */
  scaler: string;
  hog: readonly HogStep[];
  hogBaseBytes?: number;
  /** More of the configuration: whole sections, as YAML. */
  config?: string;
  /** With a state of an earlier conductor in it; default: a new one. */
  folder?: string;
  /** More files, such as plugins/NAME/plugin.yaml. */
  files?: Record<string, string>;
  environment?: Record<string, string>;
}

/** What one crossing of a line was like; milliseconds of one monotonic clock. */
export interface Crossing {
  /** Null: what was to cross it was shed before. */
  crossedMs: number | null;
  /** `first` or `hog` was seen to be gone. */
  signalSeenMs: number;
  /** The use was seen under the line again. */
  backMs: number;
  peakBytes: number;
}

export interface ShedAction {
  kind: string;
  plugin: string;
  urgent: boolean;
  expectedBytes: number | null;
  actualBytes?: number | null;
  durationMs?: number;
  noticedMs?: number;
  signalMs?: number;
  detail?: string;
}

export interface DecisionView {
  id: number;
  at: string;
  rule: string;
  reason: string;
  actions: ShedAction[];
}

const manifest = (name: string, args: readonly string[]) => `name: ${name}
version: 1.0.0
runtime: exec
protocol: none
command: ${JSON.stringify([executable, "__hog", ...args])}
start: eager
health: { kind: none }
recovery: { restart: always, backoff: { initial: 100ms, max: 200ms }, maxRestarts: 100 per 1m }
`;

export class PressedConductor {
  readonly #meter: CgroupMeter;

  private constructor(
    readonly conductor: RunningConductor,
    readonly cgroup: MemoryCgroup,
    readonly budgetBytes: number,
  ) {
    this.#meter = new CgroupMeter({ version: cgroup.version, folder: cgroup.folder });
  }

  /** Ready, with every plugin up. The hard limit is twice the budget: nothing can be killed but inside of it. */
  static async start(options: Pressed): Promise<PressedConductor> {
    const { name, budgetBytes, scaler, hog, hogBaseBytes = 4 * MiB } = options;
    const cgroup = new MemoryCgroup(`conductor-${name}`, 2 * budgetBytes);
    let started: RunningConductor | null = null;
    try {
      const conductor = await RunningConductor.start({
        config: [
          `budget: { memory: ${Math.round(budgetBytes / MiB)}MiB }`,
          "monitor: { interval: 1s }",
          "forecast: { horizon: 1s }",
          "plugins: { bundled: false, grace: 1s }",
          `scaler: { order: [first, hog, last], ${scaler} }`,
          options.config ?? "",
        ].join("\n"),
        files: {
          ...options.files,
          "plugins/first/plugin.yaml": manifest("first", hogArguments(2 * MiB, [])),
          "plugins/hog/plugin.yaml": manifest("hog", hogArguments(hogBaseBytes, hog)),
          ...(options.files?.["plugins/last/plugin.yaml"]
            ? {}
            : { "plugins/last/plugin.yaml": manifest("last", hogArguments(2 * MiB, [])) }),
        },
        wrap: (command) => cgroup.wrap(command),
        ...(options.environment ? { environment: options.environment } : {}),
        ...(options.folder === undefined ? {} : { folder: options.folder }),
      });
      started = conductor;
      const pressed = new PressedConductor(conductor, cgroup, budgetBytes);
      await pressed.settled();
      return pressed;
    } catch (error) {
      await started?.terminate();
      started?.remove();
      await cgroup.remove();
      throw error;
    }
  }

  usedBytes(): number {
    return this.#meter.usedBytes() ?? Number.NaN;
  }

  async #process(plugin: string): Promise<ProcessId> {
    const [pid = 0] = (await this.conductor.plugin(plugin)).pids;
    const found = readProcess(pid);
    if (!found) throw new Error(`${plugin} has no process`);
    return found;
  }

  /** Every plugin is ready. */
  async settled(timeoutMs = 30_000): Promise<void> {
    await until("every plugin is ready", timeoutMs, async () => {
      const down = (await this.conductor.plugins()).filter(({ state }) => state !== "ready");
      if (down.length === 0) return true;
      const status = await this.conductor.get<{ verdict: { reason: string } }>("/api/v1/scaling/status");
      const states = down.slice(0, 3).map(({ name, state, reason }) => `${name} is ${state} (${reason})`);
      throw new Error(`${states.join(", ")}; ${status.verdict?.reason}`);
    });
  }

  /** Has the hog fill memory, and waits until the hog is gone and the use is under the line at `lineRatio`. */
  async press(lineRatio: number, timeoutMs = 20_000): Promise<Crossing> {
    const [first, hog] = [await this.#process("first"), await this.#process("hog")];
    await until("the hog listens", 10_000, () => isListening(hog.pid));
    const lineBytes = lineRatio * this.budgetBytes;
    let crossedMs: number | null = null;
    let backMs: number | null = null;
    let [signalSeenMs, peakBytes] = [0, 0];
    const endMs = performance.now() + timeoutMs;
    process.kill(hog.pid, "SIGUSR1");
    while (performance.now() < endMs) {
      const usedBytes = this.usedBytes();
      const nowMs = performance.now();
      peakBytes = Math.max(peakBytes, usedBytes);
      if (crossedMs === null && usedBytes >= lineBytes) crossedMs = nowMs;
      if (signalSeenMs === 0 && !(isAlive(first) && isAlive(hog))) signalSeenMs = performance.now();
      const isBack = signalSeenMs > 0 && usedBytes < lineBytes;
      backMs = isBack ? (backMs ?? nowMs) : null;
      if (backMs !== null && !isAlive(hog)) return { crossedMs, signalSeenMs, backMs, peakBytes };
      await Bun.sleep(1);
    }
    throw new Error(
      `not shed within ${timeoutMs} ms: crossed ${crossedMs !== null}, signalled ${signalSeenMs > 0}, peak ${peakBytes} of ${this.budgetBytes}`,
    );
  }

  /** The newest first. */
  async decisions(): Promise<DecisionView[]> {
    const path = "/api/v1/scaling/decisions?limit=500";
    return (await this.conductor.get<{ decisions: DecisionView[] }>(path)).decisions;
  }

  /** Every shed whose outcome is recorded, the oldest first; waits until no decision is being carried out. */
  async recordedSheds(): Promise<ShedAction[]> {
    return until("every decision has its outcome", 10_000, async () => {
      const actions = (await this.decisions()).toReversed().flatMap((decision) => decision.actions);
      const sheds = actions.filter(({ kind }) => kind === "shed");
      if (sheds.length > 0 && sheds.every(({ signalMs }) => signalMs !== undefined)) return sheds;
      throw new Error(JSON.stringify(sheds));
    });
  }

  /** The conductor has ended: takes the cgroup away, and leaves the folder for another one. */
  async leave(): Promise<void> {
    this.#meter.close();
    await this.cgroup.remove();
  }

  async end(): Promise<void> {
    await this.conductor.terminate();
    this.conductor.remove();
    await this.leave();
  }
}
