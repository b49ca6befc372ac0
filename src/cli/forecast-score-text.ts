import { basename } from "node:path";
import { formatDuration } from "../config/units.ts";
import type { ByMethod, ScoreReport } from "../forecast/score.ts";
import { calibratedSeries, scoreRatios } from "../forecast/score-summary.ts";
import type { MethodScore } from "../forecast/score-tally.ts";
import { table } from "./table.ts";

const longestLabel = 20;
const scoreHeading = ["METHOD", "MAE", "RMSE", "P95", "COVERED", "WIDTH", "WINKLER", "N"];

/** A score for a person: overall, the methods beside each other, then by system. At most 100 columns. */
export function describeScore(files: readonly string[], report: ScoreReport, kernelName: string): string {
  const { systems, points, horizonSeconds, overall, skipped } = report;
  const series = systems.reduce((sum, system) => sum + system.series.length, 0);
  const counts = [count(points, "point"), count(series, "series", "series"), count(systems.length, "system")];
  const { history, gap, end, noForecast } = skipped;
  return [
    `${files.length === 1 ? files[0] : count(files.length, "file")}: ${counts.join(", ")}`,
    `${formatDuration(horizonSeconds * 1_000)} ahead, errors in percentage points, 95 % intervals, ${kernelName} kernel`,
    `not scored: ${history} history, ${gap} into a gap, ${end} past the end, ${noForecast} without a forecast`,
    "",
    table([scoreHeading, ...scoreRows(overall)]),
    "",
    comparison(report),
    "",
    table([["SYSTEM", ...scoreHeading], ...systemRows(report, files.length > 1)]),
  ].join("\n");
}

function comparison(report: ScoreReport): string {
  const ratios = scoreRatios(report);
  const calibrated = calibratedSeries(report);
  const rows = Object.keys(report.overall).map((method) => {
    const { maeToOlsEma = null, maeToLast = null, winklerToOls = null } = ratios[method] ?? {};
    const { within = 0, of = 0 } = calibrated[method] ?? {};
    const ns = report.nsPerTick[method] ?? Number.NaN;
    const ratio = (value: number | null): string => (value === null ? "-" : value.toFixed(3));
    const speed = [significant(ns), Math.round(1e9 / ns).toLocaleString("en")];
    return [
      method,
      ratio(maeToOlsEma),
      ratio(maeToLast),
      ratio(winklerToOls),
      `${within} of ${of}`,
      ...speed,
    ];
  });
  const heading = ["MAE/ols_ema", "MAE/last", "WINKLER/ols", "SERIES AT 93-97 %", "ns/TICK", "TICKS/s"];
  return table([["METHOD", ...heading], ...rows]);
}

function systemRows({ systems }: ScoreReport, nameFiles: boolean): string[][] {
  return systems.flatMap(({ file, sys, methods }) => {
    const label = nameFiles ? `${basename(file).replace(/\.csv$/i, "")}:${sys}` : sys;
    return scoreRows(methods).map((row) => [shortened(label), ...row]);
  });
}

function scoreRows(scores: ByMethod<MethodScore>): string[][] {
  return Object.entries(scores).map(([method, { mae, rmse, p95, coverage, width, winkler, n }]) => [
    method,
    ...[mae, rmse, p95].map(significant),
    Number.isNaN(coverage) ? "-" : `${(coverage * 100).toFixed(2)} %`,
    ...[width, winkler].map(significant),
    n.toLocaleString("en"),
  ]);
}

/** Four significant digits; "-" for what is not known. */
function significant(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return value >= 1_000 ? value.toFixed(0) : value.toPrecision(4);
}

const shortened = (label: string): string =>
  label.length > longestLabel ? `${label.slice(0, longestLabel - 1)}…` : label;

const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
