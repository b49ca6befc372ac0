import { nearest } from "../config/nearest.ts";
import { formatDuration, formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  serverOption,
  wantsJson,
} from "./command.ts";
import { forecastScore } from "./forecast-score.ts";

interface ForecastView {
  method: string;
  kernel: string;
  horizonSeconds: number;
  memory: {
    method: string;
    state: string;
    calibration: string | null;
    points: number;
    targetAt: string;
    smoothed: number;
    lower: number;
    upper: number;
  } | null;
  methods: {
    adaptive: { recentCoverage: number | null; outcomes: number; weights: Record<string, number> } | null;
    ols: { smoothed: number; lower: number; upper: number } | null;
  };
  slopePerMinute: number;
  slopeIsSignificant: boolean;
  timeToThreshold: {
    thresholdPercent: number;
    seconds: number;
    earliestSeconds: number;
    latestSeconds: number;
  } | null;
  anomalies: { at: string; detail: string }[];
}

/** `conductor forecast`: what the running conductor expects of memory, or how good the methods are on traces. */
export const forecastCommand: Command = {
  name: "forecast",
  summary: "Show the forecast of the running conductor, or score methods on traces",
  usage:
    "conductor forecast [--port PORT] [-o json]\n" +
    "conductor forecast score TRACE.csv [TRACE.csv …] [--horizon 5m] [-o json]",
  options: {
    ...serverOption,
    horizon: { type: "string", help: "How far ahead to score, such as 90s or 5m (default)" },
    ...outputOption,
  },
  notes: [
    "A trace has a header and the columns t (seconds, rising) and mem (percent); sys (the machine) and seg (a",
    "stretch without a break) tell series apart. Each method starts each series afresh. A forecast is judged by",
    "the first sample at or after its horizon, within one sampling step; the first 60 points are history.",
  ],
  positionals: Number.POSITIVE_INFINITY,
  run: async (invocation) => {
    const [action, ...files] = invocation.positionals;
    if (action === undefined) return showForecast(invocation);
    if (action !== "score") throw unknownAction(action);
    if (files.length === 0) throw new CliError("score: expected a TRACE.csv, or several", exitCode.usage);
    refuse(invocation, Object.keys(serverOption), "asks a running conductor, which score does not need");
    return forecastScore(invocation, files);
  },
};

async function showForecast(invocation: Invocation): Promise<number> {
  refuse(invocation, ["horizon"], 'is for "conductor forecast score TRACE.csv"');
  const json = wantsJson(invocation);
  const view = await askConductor<ForecastView>(invocation, "/api/v1/forecast");
  invocation.terminal.out(json ? JSON.stringify(view, null, 2) : describe(view));
  return exitCode.ok;
}

function unknownAction(action: string): CliError {
  const near = nearest(action, ["score"]);
  const hint = near
    ? `did you mean "${near}"?`
    : 'expected "score" or nothing; see conductor forecast --help';
  return new CliError(`${action}: unknown action; ${hint}`, exitCode.usage);
}

/** A flag that would have no effect is a mistake. */
function refuse({ flags }: Invocation, names: readonly string[], because: string): void {
  const given = names.find((name) => flags[name] !== undefined);
  if (given !== undefined) throw new CliError(`--${given}: ${because}`, exitCode.usage);
}

const percent = (value: number): string => formatPercent(value / 100);
const duration = (seconds: number): string => formatDuration(seconds * 1_000);

function describe(view: ForecastView): string {
  const { memory, methods, kernel, method, horizonSeconds } = view;
  if (!memory) return "no forecast yet: memory has not been sampled";
  const { ols } = methods;
  const [anomaly] = view.anomalies;
  const made = memory.method === method ? method : `${memory.method}, until ${method} has met outcomes`;
  return [
    `in ${duration(horizonSeconds)}  ${percent(memory.smoothed)} of the budget, at ${memory.targetAt}`,
    `interval  ${percent(memory.lower)} to ${percent(memory.upper)} (95 %)${trust(view)}`,
    `slope     ${slope(view)}`,
    `based on  ${memory.points} ${memory.points === 1 ? "sample" : "samples"}${memory.state === "cold" ? ": too few for a forecast yet, so it repeats the last value with a wide interval" : ""} (${made}, ${kernel} kernel)`,
    ...(methods.adaptive ? [`experts   ${experts(methods.adaptive.weights)}`] : []),
    ...(memory.method === "adaptive" && ols
      ? [`line      ${percent(ols.smoothed)}, ${percent(ols.lower)} to ${percent(ols.upper)}`]
      : []),
    ...(anomaly ? [`anomaly   ${anomaly.detail}, at ${anomaly.at}`] : []),
  ].join("\n");
}

function trust({ memory, methods: { adaptive } }: ForecastView): string {
  if (!memory?.calibration || !adaptive) return "";
  const { recentCoverage, outcomes } = adaptive;
  const held =
    recentCoverage === null
      ? "no outcome yet"
      : `lately ${formatPercent(recentCoverage)} of ${outcomes} outcomes were inside`;
  return `, ${memory.calibration}: ${held}`;
}

function slope({ slopePerMinute, slopeIsSignificant, timeToThreshold }: ForecastView): string {
  if (!slopeIsSignificant) return "none that differs from noise";
  const perMinute = `${slopePerMinute.toFixed(3)} % of the budget a minute`;
  if (!timeToThreshold) return perMinute;
  const { thresholdPercent, seconds, earliestSeconds, latestSeconds } = timeToThreshold;
  return `${perMinute}: ${percent(thresholdPercent)} in ${duration(Math.round(seconds))} (${duration(Math.round(earliestSeconds))} to ${duration(Math.round(latestSeconds))})`;
}

const experts = (weights: Record<string, number>): string =>
  Object.entries(weights)
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, weight]) => `${name} ${formatPercent(weight)}`)
    .join(", ");
