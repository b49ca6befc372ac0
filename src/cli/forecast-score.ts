import { resolve } from "node:path";
import { formatDuration, parseDurationMs } from "../config/units.ts";
import type { AdaptiveKernel } from "../forecast/adaptive.ts";
import type { Kernel } from "../forecast/forecaster.ts";
import { loadAdaptiveKernel } from "../forecast/load-adaptive.ts";
import type { LoadedKernel } from "../forecast/load-kernel.ts";
import { loadKernel } from "../forecast/load-kernel.ts";
import { canBeScored, type ScoredSeries, type ScoreReport, scoreMethods } from "../forecast/score.ts";
import { calibratedSeries, scoreRatios } from "../forecast/score-summary.ts";
import { historyPoints } from "../forecast/score-targets.ts";
import { scoredMethods } from "../forecast/scored-methods.ts";
import { readTrace } from "../replay/trace.ts";
import { CliError, exitCode, type Invocation, type Terminal, textFlag, wantsJson } from "./command.ts";
import { compilersOn, compilerWarning } from "./compilers.ts";
import { describeScore } from "./forecast-score-text.ts";
import { PercentLine } from "./percent-line.ts";

const defaultHorizon = "5m";
const mostHorizonSeconds = 1e9;
/** Enough for the runtime to compile what a method runs. */
const warmUpTicks = 100_000;

/** `conductor forecast score`: how good each method would have been on recorded memory. */
export async function forecastScore(invocation: Invocation, files: readonly string[]): Promise<number> {
  const json = wantsJson(invocation);
  const horizonSeconds = horizonOf(invocation);
  const { terminal, environment } = invocation;
  const series = readAll(files, invocation);
  requireLength(series, horizonSeconds);
  const warning = compilerWarning(environment);
  if (warning !== null) terminal.err(warning);
  const loaded = await loadKernel();
  const adaptive = await loadAdaptiveKernel();
  const fellBackBecause = loaded.fellBackBecause ?? adaptive.fellBackBecause;
  if (fellBackBecause !== null)
    terminal.err(`conductor: ${fellBackBecause}; scored with the JavaScript kernel`);
  const report = scoreAll(series, horizonSeconds, loaded.kernel, adaptive.kernel, terminal);
  requireScored(report);
  terminal.out(
    json
      ? JSON.stringify(asJson(files, report, loaded), null, 2)
      : describeScore(files, report, loaded.kernel.name),
  );
  return exitCode.ok;
}

function horizonOf(invocation: Invocation): number {
  const text = textFlag(invocation, "horizon") ?? defaultHorizon;
  const ms = parseDurationMs(text);
  if (typeof ms === "string") throw new CliError(`--horizon ${text}: ${ms}`, exitCode.usage);
  const seconds = ms / 1_000;
  if (seconds > 0 && seconds <= mostHorizonSeconds) return seconds;
  throw new CliError(
    `--horizon ${text}: must be above 0 and at most ${mostHorizonSeconds} s`,
    exitCode.usage,
  );
}

function readAll(files: readonly string[], { folder, terminal }: Invocation): ScoredSeries[] {
  const paths = files.map((file) => resolve(folder, file));
  const twice = files.find((_, i) => paths.indexOf(paths[i] ?? "") !== i);
  if (twice !== undefined) throw new CliError(`${twice}: given twice`, exitCode.usage);
  const progress = new PercentLine(terminal, () => Bun.nanoseconds());
  try {
    return files.flatMap((name, i) => {
      const onRead = (share: number) => progress.show(`reading ${name}`, share);
      const series = readTrace(paths[i] ?? name, { name, onRead });
      return series.map(({ memPercent, ...rest }) => ({ ...rest, values: memPercent }));
    });
  } finally {
    progress.end();
  }
}

function scoreAll(
  series: readonly ScoredSeries[],
  horizonSeconds: number,
  kernel: Kernel,
  adaptive: AdaptiveKernel,
  terminal: Terminal,
): ScoreReport {
  const nowNs = () => Bun.nanoseconds();
  const progress = new PercentLine(terminal, nowNs);
  try {
    return scoreMethods(series, {
      methods: scoredMethods(kernel, adaptive),
      horizonSeconds,
      nowNs,
      warmUpTicks,
      onProgress: (method, done, of) => progress.show(`scoring ${method}`, done / of),
    });
  } finally {
    progress.end();
  }
}

function requireLength(series: readonly ScoredSeries[], horizonSeconds: number): void {
  if (series.some(({ tSeconds }) => canBeScored(tSeconds, horizonSeconds))) return;
  const longest = series.reduce((a, b) => (b.values.length > a.values.length ? b : a));
  const { tSeconds } = longest;
  const seconds = (tSeconds[tSeconds.length - 1] ?? 0) - (tSeconds[0] ?? 0);
  const duration = (value: number): string => formatDuration(value * 1_000);
  throw new CliError(
    `too short to score: it takes ${historyPoints} points of history, and at least one more with a sample ` +
      `${duration(horizonSeconds)} later; the longest of ${series.length} series has ${tSeconds.length} points over ${duration(seconds)}`,
  );
}

function requireScored({ overall, points, skipped }: ScoreReport): void {
  if (Object.values(overall).some(({ n }) => n > 0)) return;
  const { history, end, gap, noForecast } = skipped;
  throw new CliError(
    `none of ${points} forecasts can be judged: ${history} were made in the first ${historyPoints} points of a series, ` +
      `${end} look past its end, ${gap} into a gap, and ${noForecast} lack a forecast by some method`,
  );
}

function asJson(files: readonly string[], report: ScoreReport, { kernel, fellBackBecause }: LoadedKernel) {
  const { overall, systems, horizonSeconds, points, skipped, nsPerTick } = report;
  const ticksPerSecond = Object.fromEntries(Object.entries(nsPerTick).map(([name, ns]) => [name, 1e9 / ns]));
  return {
    files,
    horizonSeconds,
    points,
    overall,
    ratios: scoreRatios(report),
    calibratedSeries: calibratedSeries(report),
    skipped,
    nsPerTick,
    ticksPerSecond,
    kernel: kernel.name,
    fellBackBecause,
    compilers: compilersOn(),
    systems,
  };
}
