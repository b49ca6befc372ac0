/**
 * Scores forecasters on recorded series. A forecast made at a point is judged by the first sample at or after the
 * horizon, if it comes within one sampling step; the first 60 points of a series are history; every method is judged on
 * the same points, those at which each had a finite forecast.
 */
import { MethodRun } from "./method-run.ts";
import { type MethodScore, Tally } from "./score-tally.ts";
import { historyPoints, noTarget, type SkippedCounts, targetsOf } from "./score-targets.ts";
import type { MethodFactory } from "./scored-methods.ts";

/** One stretch of values without a break. */
export interface ScoredSeries {
  readonly file: string;
  readonly sys: string;
  readonly seg: string;
  /** Rising by at least 1 µs. */
  readonly tSeconds: Float64Array;
  /** As many, within ±1e100. */
  readonly values: Float64Array;
}

export interface ScoreOptions {
  readonly methods: readonly MethodFactory[];
  readonly horizonSeconds: number;
  /** A clock in nanoseconds: each method's own time is measured with it. */
  readonly nowNs: () => number;
  /**
   * Ticks that each method makes first, untimed and forgotten, so that a short trace measures the method and not the
   * runtime's compilers. Default 0.
   */
  readonly warmUpTicks?: number;
  /** Hears of the ticks that all methods together have made, of how many, and whose turn it is. */
  readonly onProgress?: (method: string, done: number, of: number) => void;
}

export type ByMethod<T> = Record<string, T>;

export interface SeriesScore {
  readonly seg: string;
  readonly points: number;
  readonly scored: number;
  /** Share of values within the interval, 0..1; NaN where nothing was scored. */
  readonly coverage: ByMethod<number>;
}

export interface SystemScore {
  readonly file: string;
  readonly sys: string;
  readonly points: number;
  readonly methods: ByMethod<MethodScore>;
  readonly series: SeriesScore[];
}

export interface ScoreReport {
  readonly horizonSeconds: number;
  readonly points: number;
  /** Every scored point of every series, each counted once. */
  readonly overall: ByMethod<MethodScore>;
  readonly systems: SystemScore[];
  readonly skipped: SkippedCounts;
  /** Nanoseconds of a push and its forecast, the mean over all points. */
  readonly nsPerTick: ByMethod<number>;
}

/** Where the scoring stands: it adds to these as it goes. */
interface Progress {
  readonly runs: readonly MethodRun[];
  readonly overall: readonly Tally[];
  readonly skipped: SkippedCounts;
  readonly ticks: number;
  ticksDone: number;
}

/** Scores every method on every series. Each starts every series afresh. */
export function scoreMethods(series: readonly ScoredSeries[], options: ScoreOptions): ScoreReport {
  const points = series.reduce((sum, { values }) => sum + values.length, 0);
  const longest = series.reduce((most, { values }) => Math.max(most, values.length), 0);
  const runs = options.methods.map((method) => new MethodRun(method, longest));
  warmUp(runs, series, longest, options);
  const progress: Progress = {
    runs,
    overall: runs.map(() => new Tally()),
    skipped: { history: 0, gap: 0, end: 0, noForecast: 0 },
    ticks: points * runs.length,
    ticksDone: 0,
  };
  const bySystem = Map.groupBy(series, ({ file, sys }) => JSON.stringify([file, sys]));
  const systems = [...bySystem.values()].map((own) => scoreSystem(own, options, progress));
  return {
    horizonSeconds: options.horizonSeconds,
    points,
    overall: byMethod(runs, (_, i) => (progress.overall[i] as Tally).score()),
    systems,
    skipped: progress.skipped,
    nsPerTick: byMethod(runs, ({ elapsedNs }) => elapsedNs / points),
  };
}

/** Twice around: what the compilers learned from the first method they correct at the second. */
function warmUp(
  runs: readonly MethodRun[],
  series: readonly ScoredSeries[],
  longest: number,
  { warmUpTicks = 0, horizonSeconds }: ScoreOptions,
): void {
  const chosen = series.find(({ values }) => values.length === longest);
  if (chosen === undefined || longest === 0) return;
  for (const run of [...runs, ...runs]) run.warmUp(chosen, horizonSeconds, warmUpTicks / 2);
}

/** Whether a series is long enough for its last point to judge a forecast. */
export function canBeScored(tSeconds: Float64Array, horizonSeconds: number): boolean {
  const first = tSeconds[historyPoints];
  return first !== undefined && (tSeconds[tSeconds.length - 1] as number) >= first + horizonSeconds;
}

function scoreSystem(own: readonly ScoredSeries[], options: ScoreOptions, progress: Progress): SystemScore {
  const { runs, overall } = progress;
  const tallies = runs.map(() => new Tally());
  const series = own.map((one) => scoreSeries(one, options, progress, tallies));
  tallies.forEach((tally, i) => {
    overall[i]?.absorb(tally);
  });
  return {
    file: own[0]?.file ?? "",
    sys: own[0]?.sys ?? "",
    points: own.reduce((sum, { values }) => sum + values.length, 0),
    methods: byMethod(runs, (_, i) => (tallies[i] as Tally).score()),
    series,
  };
}

/** Adds the series' errors to its system's `tallies`. */
function scoreSeries(
  one: ScoredSeries,
  options: ScoreOptions,
  progress: Progress,
  tallies: readonly Tally[],
): SeriesScore {
  const { runs, ticks, skipped } = progress;
  for (const run of runs) {
    run.take(one, options, (done) => options.onProgress?.(run.name, progress.ticksDone + done, ticks));
    progress.ticksDone += one.values.length;
  }
  const targets = targetsOf(one.tSeconds, options.horizonSeconds, skipped);
  let scored = 0;
  for (let i = 0; i < targets.length; i++) {
    if (targets[i] === noTarget) continue;
    if (runs.every((run) => run.isFinite(i))) scored++;
    else {
      targets[i] = noTarget;
      skipped.noForecast++;
    }
  }
  const within = runs.map((run, i) => run.judge(one.values, targets, tallies[i] as Tally));
  const coverage = byMethod(runs, (_, i) => (within[i] as number) / scored);
  return { seg: one.seg, points: one.values.length, scored, coverage };
}

function byMethod<T>(runs: readonly MethodRun[], of: (run: MethodRun, i: number) => T): ByMethod<T> {
  return Object.fromEntries(runs.map((run, i) => [run.name, of(run, i)]));
}
