/** From samples to the memory forecast, so that a step whose cause is known is never taken for a trend. */

import type { MemoryForecast, MemoryForecastReport } from "../forecast/memory-forecast.ts";
import type { Sample } from "../monitor/sample.ts";
import type { SampleWindow } from "../monitor/window.ts";
import type { ForecastFacts } from "../scaler/situation.ts";
import { usedWith, type WarmUp } from "./counterfactual.ts";
import { budgetChange } from "./forecast-learning.ts";

/** What is known of plugins. */
export interface Learned {
  /** What it usually holds; null before that is known. */
  usualBytes(plugin: string): number | null;
  /** Whether what it takes on then is its start, not its growth. */
  isStarting(plugin: string, atMs: number): boolean;
}

/** Starts that are over are remembered as long as samples of them may be in the window, and at most so many. */
const mostWarmUps = 100;

export interface ForecastFeedOptions {
  forecast: MemoryForecast;
  window: SampleWindow;
  learned: Learned;
  /** Called for a sample that the forecast did not take. */
  onRefused: (reason: string) => void;
  /** Called when the budget is another one, so that all shares are of something else. */
  onBudget: (budgetBytes: number, because: string) => void;
}

export class ForecastFeed {
  readonly #options: ForecastFeedOptions;
  /** As of the newest sample; the cgroup is undefined where a recorded sample does not tell it. */
  #budget: { budgetBytes: number; cgroup: string | null | undefined } | null = null;
  /** The plugins that held memory in the newest sample; null before one told. */
  #running: ReadonlySet<string> | null = null;
  /** Since when each plugin warms up that does, as of the newest sample. */
  readonly #warming = new Map<string, number>();
  readonly #warmUps: WarmUp[] = [];

  constructor(options: ForecastFeedOptions) {
    this.#options = options;
  }

  /** Takes recorded samples, the oldest first. */
  warm(samples: readonly Sample[]): void {
    for (const sample of samples) {
      if (!sample.memory) continue;
      this.#takeBudget(sample.atMs, sample.memory.budgetBytes, undefined);
      this.#options.forecast.observe(sample.atMs, sample.memory.usedRatio);
      this.#running = runningIn(sample) ?? this.#running;
    }
  }

  /** Takes the newest sample of the window. */
  observe(sample: Sample): void {
    if (!sample.memory) return;
    const { forecast, onRefused } = this.#options;
    this.#takeBudget(sample.atMs, sample.memory.budgetBytes, sample.memory.cgroup);
    const before = this.#running;
    const running = runningIn(sample) ?? before;
    this.#running = running;
    const warm = this.#warmed(sample, running);
    if (before && running && !isSame(before, running)) {
      this.rebuild(sample.atMs, describeChange(before, running), running);
      return;
    }
    if (running && warm.length > 0) {
      this.rebuild(sample.atMs, `${warm.join(", ")} warmed up`, running);
      return;
    }
    const result = forecast.observe(sample.atMs, sample.memory.usedRatio);
    if (result !== "accepted") onRefused(result);
  }

  /** Goes on from the history as it would have been with exactly the plugins that are `running` now. */
  rebuild(atMs: number, because: string, running: ReadonlySet<string>): void {
    const { forecast, window, learned } = this.#options;
    this.#running = running;
    const history = window.history().flatMap((sample) => {
      const usedBytes = usedWith(sample, running, (plugin) => learned.usualBytes(plugin), this.#warmUps);
      const budgetBytes = sample.memory?.budgetBytes;
      const told = usedBytes !== null && budgetBytes !== undefined;
      return told && budgetBytes === this.#budget?.budgetBytes
        ? [{ atMs: sample.atMs, usedRatio: usedBytes / budgetBytes }]
        : [];
    });
    forecast.continueAs(atMs, because, history);
  }

  /** The forecast as the scaler takes it; null before the first. */
  facts(): ForecastFacts | null {
    const { forecast } = this.#options;
    const report = forecast.report();
    if (!report) return null;
    // A line that stands in for the mix has met no outcome, and what a start takes on is no trend.
    const isUnproven = report.method === "ols" && (forecast.method === "adaptive" || this.#warming.size > 0);
    const facts = { ...factsOf(report), ...(isUnproven ? { reachShare: 0 } : {}) };
    // An interval that misses too often is not relied on alone.
    if (report.calibration !== "miscalibrated") return facts;
    return { ...facts, upperRatio: Math.max(facts.upperRatio, forecast.lineReport()?.upperRatio ?? 0) };
  }

  /** Keeps up with who warms up; names those whose start is over as of this sample. */
  #warmed(sample: Sample, running: ReadonlySet<string> | null): string[] {
    const { learned, window } = this.#options;
    const warming = this.#warming;
    for (const plugin of running ?? [])
      if (!warming.has(plugin) && learned.isStarting(plugin, sample.atMs))
        warming.set(plugin, sample.atMs - 1);
    if (warming.size === 0) return [];
    const warm: string[] = [];
    for (const [plugin, fromMs] of warming) {
      if (running?.has(plugin) && learned.isStarting(plugin, sample.atMs)) continue;
      warming.delete(plugin);
      const bytes = sample.footprints?.find((reading) => reading.plugin === plugin)?.bytes;
      if (bytes === undefined) continue;
      warm.push(plugin);
      this.#warmUps.push({ plugin, fromMs, untilMs: sample.atMs, bytes });
    }
    const oldestMs = window.history()[0]?.atMs ?? 0;
    const kept = this.#warmUps.filter(({ untilMs }) => untilMs >= oldestMs).slice(-mostWarmUps);
    this.#warmUps.splice(0, Number.POSITIVE_INFINITY, ...kept);
    return warm;
  }

  /** Another constraint taking the lead makes no step, since the larger share always counts. A moved limit does. */
  #takeBudget(atMs: number, budgetBytes: number, cgroup: string | null | undefined): void {
    const before = this.#budget;
    this.#budget = { budgetBytes, cgroup };
    if (!before && cgroup !== undefined) this.#options.onBudget(budgetBytes, "memory was measured");
    if (!before || before.budgetBytes === budgetBytes) return;
    if (before.cgroup !== undefined && before.cgroup !== cgroup) return;
    const because = budgetChange(before.budgetBytes, budgetBytes);
    this.#options.forecast.restart(atMs, because);
    this.#options.onBudget(budgetBytes, because);
  }
}

function runningIn({ footprints }: Sample): ReadonlySet<string> | null {
  return footprints && new Set(footprints.map(({ plugin }) => plugin));
}

/** Asked at each sample: nothing is made for the answer. */
function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  for (const name of one) if (!other.has(name)) return false;
  return true;
}

function describeChange(before: ReadonlySet<string>, now: ReadonlySet<string>): string {
  const started = [...now.difference(before)];
  const ended = [...before.difference(now)];
  return [
    ...(started.length > 0 ? [`${started.join(", ")} started`] : []),
    ...(ended.length > 0 ? [`${ended.join(", ")} ended`] : []),
  ].join("; ");
}

const factsOf = (report: MemoryForecastReport): ForecastFacts => ({
  state: report.state,
  atMs: report.atMs,
  valueRatio: report.valueRatio,
  smoothedRatio: report.smoothedRatio,
  lowerRatio: report.lowerRatio,
  upperRatio: report.upperRatio,
  method: report.method,
  calibration: report.calibration,
  reachShare: report.reachShare,
});
