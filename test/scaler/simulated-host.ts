/** A host of numbers: plugins with footprints on a budget, and a recorder that keeps what the scaler tells it. */

import type { VirtualClock } from "../../src/clock.ts";
import { sleep } from "../../src/clock.ts";
import type { Actuator, Carried, DecisionRecord, Outcome, Recorder } from "../../src/scaler/ports.ts";
import type { Measured, PluginFacts } from "../../src/scaler/situation.ts";

export const MiB = 2 ** 20;

interface SimulatedPlugin {
  name: string;
  bytes: number;
  state: PluginFacts["state"];
  stopMs: number;
  /** How long it stays though it was killed. */
  stuckMs: number;
  requires: string[];
}

export class SimulatedHost implements Actuator, Recorder {
  readonly plugins_: SimulatedPlugin[];
  readonly log: string[] = [];
  readonly records: (DecisionRecord & { outcomes: readonly Outcome[] })[] = [];
  /** How observed decisions ended. */
  readonly notes: string[] = [];
  baseBytes = 0;
  budgetBytes = 1_000 * MiB;
  /** The next shed does not get rid of the processes. */
  stuck = false;
  readable = true;
  /** The scope of a reading. */
  cgroup: () => string | null = () => null;
  mostStopping = 0;
  #stopping = new Map<string, () => void>();

  constructor(
    readonly clock: VirtualClock,
    footprintsMiB: Record<string, number>,
    readonly stopMs = 100,
  ) {
    this.plugins_ = Object.entries(footprintsMiB).map(([name, mib]) => ({
      name,
      bytes: mib * MiB,
      state: "running",
      stopMs,
      stuckMs: 0,
      requires: [],
    }));
  }

  measure = (): Measured | null => {
    if (!this.readable) return null;
    const held = this.plugins_.filter(({ state }) => state === "running" || state === "starting");
    const usedBytes = this.baseBytes + held.reduce((sum, { bytes }) => sum + bytes, 0);
    return { usedBytes, budgetBytes: this.budgetBytes, cgroup: this.cgroup() };
  };

  hasShed(): boolean {
    return this.plugins_.some(({ state }) => state === "shed");
  }

  plugins(): PluginFacts[] {
    return this.plugins_.map(({ name, state, bytes, requires }) => ({
      name,
      state,
      requires,
      footprintBytes: state === "running" ? bytes : null,
      learnedBytes: bytes,
    }));
  }

  footprintBytes(name: string): number | null {
    const { state, bytes } = this.find(name);
    return state === "running" || state === "starting" ? bytes : null;
  }

  strike(name: string): void {
    this.log.push(`strike ${name}`);
  }

  async shed(name: string, { urgent }: { urgent: boolean }): Promise<Carried> {
    this.log.push(`${urgent ? "kill" : "stop"} ${name}`);
    if (this.stuck) return { done: false, killed: true, detail: "still there" };
    const hastened = new Promise<void>((resolve) => this.#stopping.set(name, resolve));
    this.mostStopping = Math.max(this.mostStopping, this.#stopping.size);
    if (!urgent) await Promise.race([sleep(this.clock, this.stopMs), hastened]);
    await sleep(this.clock, this.find(name).stuckMs);
    this.#stopping.delete(name);
    this.find(name).state = "shed";
    this.log.push(`gone ${name}`);
    return { done: true, killed: urgent, detail: "gone" };
  }

  hasten(name: string): void {
    this.log.push(`hasten ${name}`);
    this.#stopping.get(name)?.();
  }

  async restore(name: string): Promise<Carried> {
    this.log.push(`start ${name}`);
    const plugin = this.find(name);
    plugin.state = "starting";
    await sleep(this.clock, 50);
    plugin.state = "running";
    return { done: true, killed: false, detail: "ready" };
  }

  open(record: DecisionRecord): number {
    return this.records.push({ ...record });
  }

  close(id: number, outcomes: readonly Outcome[]): void {
    const record = this.records[id - 1];
    if (record) record.outcomes = outcomes.slice();
  }

  observed(id: number, { note }: { note: string }): void {
    this.notes.push(`${id}: ${note}`);
  }

  find(name: string): SimulatedPlugin {
    const found = this.plugins_.find((plugin) => plugin.name === name);
    if (!found) throw new Error(`no plugin ${name}`);
    return found;
  }
}
