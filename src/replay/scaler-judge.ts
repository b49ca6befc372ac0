/** The scaler on a simulated host: the same controller, admission, learned footprints and forecast as in the live loop. */

import type { Clock } from "../clock.ts";
import type { MemoryReading } from "../monitor/budget.ts";
import { mostBytesPerSecond, reflexDelayMs } from "../monitor/reflex.ts";
import type { Sample } from "../monitor/sample.ts";
import { Admission, type MemoryNow } from "../scaler/admission.ts";
import { Controller } from "../scaler/controller.ts";
import { LearnedFootprints } from "../scaler/footprints.ts";
import { lineFor, usualReclaimMs } from "../scaler/latest-line.ts";
import { Leases } from "../scaler/leases.ts";
import { isQuiet } from "../scaler/quiet.ts";
import { nothingToDo } from "../scaler/restoring.ts";
import {
  type ForecastFacts,
  hold,
  type Measured,
  type PluginFacts,
  type Policy,
  type Situation,
  type Verdict,
} from "../scaler/situation.ts";
import type { SimulatedHost } from "./host.ts";
import type { Judge } from "./judge.ts";
import type { SimulatedPlugin, SimulatedState } from "./simulated-plugin.ts";

/** From samples to forecasts; the live loop's own. */
export interface ForecastPort {
  /** Takes a sample. */
  observe(sample: Sample): void;
  /** The conductor made a step: goes on as if exactly `running` had always run. */
  rebuild(atMs: number, because: string, running: ReadonlySet<string>): void;
  facts(): ForecastFacts | null;
}

export interface ScalerJudgeOptions {
  policy: Policy;
  /** Made with what the judge learns of footprints. */
  forecast: (learned: Pick<LearnedFootprints, "usualBytes" | "isStarting">) => ForecastPort;
  reflex: { slowestMs: number; fastestMs: number };
  /** Memory promised to a plugin that starts is free again after this. */
  reservationMs: number;
  /** How far the forecast looks. */
  horizonMs: number;
  /** Judge each reading with all plugins, also where that changes nothing; for tests. */
  thorough?: boolean;
  /** Each verdict that is more than to hold, with all that it was made from. */
  onVerdict?: (situation: Situation, forecast: ForecastFacts | null, verdict: Verdict) => void;
}

/** Footprints are learned this often between samples. */
const learnEveryMs = 1_000;

/** What `decide` says where no trigger fires and nothing waits. */
const nothingDone = hold(nothingToDo);
const nothingShed = (): boolean => false;

const seenAs: Record<SimulatedState, PluginFacts["state"]> = {
  starting: "starting",
  running: "running",
  stopping: "running",
  shed: "shed",
  absent: "absent",
};

export class ScalerJudge implements Judge {
  readonly #controller: Controller;
  readonly #learned = new LearnedFootprints();
  readonly #forecast: ForecastPort;
  readonly #admission: Admission;
  #host: SimulatedHost | null = null;
  #facts: ForecastFacts | null = null;
  #learnedAtMs = Number.NEGATIVE_INFINITY;
  #reclaimMs = usualReclaimMs;
  /** The first put-off to end; Infinity: none that the last look at the plugins saw. */
  #putOffUntilMs = Number.POSITIVE_INFINITY;

  constructor(private readonly options: ScalerJudgeOptions) {
    this.#controller = new Controller(options.policy);
    this.#forecast = options.forecast(this.#learned);
    this.#admission = new Admission({
      clock: this.#clock(),
      actuator: {
        plugins: () => this.#plugins(),
        footprintBytes: (name) => this.#seen().plugin(name).bytesAt(this.#seen().nowMs),
      },
      reservationMs: options.reservationMs,
      horizonMs: options.horizonMs,
      leases: new Leases(() => ""),
    });
  }

  get restoreRatio(): number {
    return this.options.policy.restoreRatio;
  }

  get emergencyRatio(): number {
    return this.options.policy.emergencyRatio;
  }

  /** When the dwell ends, within which neither a forecast sheds nor anything is restored, or when a put-off does. */
  get wakeAtMs(): number {
    const { nowMs } = this.#seen();
    const { lastChangeMs } = this.#controller;
    const dwellMs = (lastChangeMs ?? Number.NEGATIVE_INFINITY) + this.options.policy.dwellMs;
    return Math.min(dwellMs > nowMs ? dwellMs : Number.POSITIVE_INFINITY, this.#putOffUntilMs);
  }

  /** Bytes promised and not taken yet. */
  get reservedBytes(): number {
    return this.#admission.reservedBytes();
  }

  watch(host: SimulatedHost): void {
    this.#host = host;
  }

  onSample(): void {
    const host = this.#seen();
    this.#learn();
    const memory = readingOf(host);
    this.#controller.observeSample(memory.usedRatio, host.nowMs);
    this.#forecast.observe(sampleOf(host, memory));
    this.#facts = this.#forecast.facts();
  }

  onReading(): Verdict {
    const host = this.#seen();
    const { nowMs } = host;
    const measured: Measured = { usedBytes: host.usedBytes, budgetBytes: host.budgetBytes, cgroup: null };
    if (nowMs - this.#learnedAtMs >= learnEveryMs) this.#learn();
    this.#controller.observe(measured, nowMs);
    this.#controller.reserved(this.#admission.reservedBytes());
    const calm = this.#calm(nowMs, measured);
    if (calm) return calm;
    const situation = this.#controller.situation(nowMs, measured, this.#plugins());
    this.#reclaimMs = situation.reclaimMs ?? usualReclaimMs;
    this.#putOffUntilMs = Math.min(
      ...situation.plugins.map(({ putOffUntilMs }) => putOffUntilMs ?? Number.POSITIVE_INFINITY),
    );
    const verdict = this.#controller.decide(situation, this.#facts);
    if (verdict.actions.length > 0) this.options.onVerdict?.(situation, this.#facts, verdict);
    return verdict;
  }

  /**
   * Where nothing waits to be restored and nothing has to be done for a host without plugins, nothing has to be done for one
   * with them: that answers most readings, and looks at no plugin. Null: it has to be looked at.
   */
  #calm(nowMs: number, measured: Measured): Verdict | null {
    if (this.options.thorough || this.#seen().plugins.some(({ state }) => state === "shed")) return null;
    const situation = this.#controller.situation(nowMs, measured, []);
    this.#reclaimMs = situation.reclaimMs ?? usualReclaimMs;
    const quiet = isQuiet(situation, this.#facts, this.#controller.policy, nothingShed);
    return quiet ? nothingDone : null;
  }

  alertRatio(bytesPerSecond: number): number {
    const { policy } = this.options;
    const budgetBytes = this.#seen().budgetBytes;
    const line = lineFor(Math.max(0, bytesPerSecond), this.#reclaimMs, budgetBytes, policy);
    return this.#controller.shedding ? line - policy.marginRatio : line;
  }

  delayMs(usedRatio: number, growthPerSecond: number): number {
    const { reflex, policy } = this.options;
    const limits = { ...reflex, lineRatio: policy.shedRatio };
    const most = mostBytesPerSecond / this.#seen().budgetBytes;
    return reflexDelayMs(usedRatio, growthPerSecond, limits, most);
  }

  onState(plugin: SimulatedPlugin, state: SimulatedState): void {
    const { nowMs } = this.#seen();
    if (state === "starting") {
      this.#learned.started(plugin.name);
      this.#controller.started(nowMs);
    }
    if (state === "running") {
      this.#learned.ready(plugin.name, nowMs);
      this.#learned.learn(plugin.name, plugin.bytesAt(nowMs), nowMs);
    }
    if (state !== "stopping") this.#admission.moved(plugin.name, seenAs[state], () => this.#memoryNow());
  }

  mayStart({ name }: SimulatedPlugin): boolean {
    return this.#admission.mayStart(name, this.#memoryNow()).ok;
  }

  #memoryNow(): MemoryNow {
    const { usedBytes, budgetBytes, nowMs } = this.#seen();
    this.#controller.reserved(this.#admission.reservedBytes());
    const situation = this.#controller.situation(nowMs, { usedBytes, budgetBytes }, this.#plugins());
    return { situation, forecast: this.#facts, policy: this.#controller.policy };
  }

  shedBegins(): void {
    this.#controller.shedBegins();
  }

  shedDone({ name }: SimulatedPlugin, durationMs: number): void {
    this.#controller.shedDone(name, this.#seen().nowMs, durationMs);
    this.#intervened(`${name} was shed`);
  }

  restoreBegins({ name }: SimulatedPlugin): void {
    this.#controller.restoreBegins(name, this.#seen().nowMs);
    this.#intervened(`${name} is restored`);
  }

  restoreDone({ name }: SimulatedPlugin, ready: boolean): void {
    this.#controller.changed(this.#seen().nowMs);
    this.#intervened(ready ? `${name} was restored` : `${name} could not be restored`);
  }

  #intervened(what: string): void {
    const { plugins, nowMs } = this.#seen();
    const held = new Set(plugins.flatMap((plugin) => (plugin.holdsMemory ? [plugin.name] : [])));
    this.#forecast.rebuild(nowMs, what, held);
    this.#facts = this.#forecast.facts();
  }

  #learn(): void {
    const { plugins, nowMs } = this.#seen();
    this.#learnedAtMs = nowMs;
    for (const plugin of plugins)
      if (plugin.holdsMemory) this.#learned.learn(plugin.name, plugin.bytesAt(nowMs), nowMs);
  }

  /** What is learned is looked up only where a decision asks for it. */
  #plugins(): PluginFacts[] {
    const { plugins, nowMs } = this.#seen();
    const learned = this.#learned;
    return plugins.map((plugin) => {
      const { name, requires = [], protect } = plugin.model;
      const held = plugin.holdsMemory;
      return {
        name,
        state: seenAs[plugin.state],
        footprintBytes: held ? plugin.bytesAt(nowMs) : null,
        get learnedBytes() {
          return learned.usualBytes(name);
        },
        requires,
        get startBytes() {
          return learned.startBytes(name);
        },
        get growthPerSecond() {
          return held ? learned.growthPerSecond(name) : null;
        },
        ...(protect ? { protect } : {}),
      };
    });
  }

  #seen(): SimulatedHost {
    if (!this.#host) throw new Error("a judge watches a host before it judges");
    return this.#host;
  }

  #clock(): Clock {
    return {
      nowMs: () => this.#seen().nowMs,
      monotonicMs: () => this.#seen().nowMs,
      after: () => {
        throw new Error("nothing waits in a simulation");
      },
    };
  }
}

const readingOf = ({ usedBytes, budgetBytes }: SimulatedHost): MemoryReading => ({
  usedBytes,
  budgetBytes,
  usedRatio: usedBytes / budgetBytes,
  source: "host",
  cgroup: null,
  swapUsedBytes: null,
  swapTotalBytes: null,
});

const sampleOf = ({ nowMs, plugins }: SimulatedHost, memory: MemoryReading): Sample => ({
  atMs: nowMs,
  cpuPercent: null,
  memory,
  disk: null,
  load: null,
  pressure: { memory: null, cpu: null, io: null },
  footprints: plugins.flatMap((plugin) =>
    plugin.holdsMemory
      ? [{ plugin: plugin.name, bytes: plugin.bytesAt(nowMs), method: "cgroup" as const, processes: 1 }]
      : [],
  ),
});
