import { formatBytes, formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import { type ForecastView, trustOf } from "./forecast-facts.ts";
import { type PluginRow, pluginTable } from "./plugins/plugin-table.ts";
import { table } from "./table.ts";

interface ScalingStatus {
  mode: string;
  observed: { decisionId: number; sinceAt: string } | null;
  promoted: { shadow: string; sinceAt: string; probationUntilAt: string | null } | null;
  measured: { usedBytes: number; budgetBytes: number; usedRatio: number } | null;
  forecast: ForecastView | null;
  verdict: { rule: string; reason: string } | null;
  shedding: boolean;
  /** Conductor's own; null where the system has none. */
  oomScoreAdj: number | null;
  models: ModelRow[];
  reservations: { kind: string; name: string; bytes: number; takenBytes: number }[];
}

interface ModelRow {
  name: string;
  state: string;
  footprintBytes: number | null;
  contextTokens: number | null;
  unusableBecause: string | null;
}

/** Promises that are named; of more only their number is told. */
const mostNamed = 5;

/** `conductor status`: memory, forecast, plugins, at a glance. */
export const statusCommand: Command = {
  name: "status",
  summary: "Show memory, forecast and plugins of the running conductor",
  usage: "conductor status [--port PORT] [-o json]",
  options: { ...serverOption, ...outputOption },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const [scaling, { plugins }] = await Promise.all([
      askConductor<ScalingStatus>(invocation, "/api/v1/scaling/status"),
      askConductor<{ plugins: PluginRow[] }>(invocation, "/api/v1/plugins"),
    ]);
    invocation.terminal.out(
      json ? JSON.stringify({ scaling, plugins }, null, 2) : describe(scaling, plugins),
    );
    return exitCode.ok;
  },
};

/** How late the kernel kills conductor itself when it runs out of memory. */
function rankText(oomScoreAdj: number | null): string {
  if (oomScoreAdj === null) return "this system ranks no processes";
  const rank =
    oomScoreAdj < 0
      ? "the kernel kills conductor late"
      : "to the kernel conductor is a program like any other";
  return `${rank} (oom_score_adj ${oomScoreAdj})`;
}

/** "promised  2.25 GiB: 2.00 GiB to backup (lease), 256 MiB to voice (start)"; no line where nothing is promised. */
function promisedLines(reservations: ScalingStatus["reservations"]): string[] {
  const owed = reservations
    .map(({ kind, name, bytes, takenBytes }) => ({ who: `${name} (${kind})`, bytes: bytes - takenBytes }))
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes);
  if (owed.length === 0) return [];
  const sum = owed.reduce((total, { bytes }) => total + bytes, 0);
  const named = owed.slice(0, mostNamed).map(({ who, bytes }) => `${formatBytes(bytes)} to ${who}`);
  if (owed.length > mostNamed) named.push(`and ${owed.length - mostNamed} more`);
  return [`promised  ${formatBytes(sum)}: ${named.join(", ")}`];
}

function describe(scaling: ScalingStatus, plugins: PluginRow[]): string {
  const { measured, forecast, verdict, shedding, oomScoreAdj, reservations } = scaling;
  const memory = measured
    ? `${formatBytes(measured.usedBytes)} of ${formatBytes(measured.budgetBytes)} (${formatPercent(measured.usedRatio)})`
    : "not measured yet";
  const ahead = forecast
    ? `${formatPercent(forecast.smoothedRatio)}, 95 % interval ${formatPercent(forecast.lowerRatio)} to ${formatPercent(forecast.upperRatio)} (${trustOf(forecast)})`
    : "none yet";
  return [
    `memory    ${memory}`,
    ...promisedLines(reservations),
    `forecast  ${ahead}`,
    ...modeLines(scaling),
    `scaler    ${shedding ? "shedding: " : ""}${verdict?.reason ?? "no evaluation yet"}`,
    `itself    ${rankText(oomScoreAdj)}`,
    "",
    pluginTable(plugins),
    ...modelLines(scaling.models),
  ].join("\n");
}

/** The models, the best first, under the plugins; nothing where there are none. */
function modelLines(models: readonly ModelRow[]): string[] {
  if (models.length === 0) return [];
  const rows = models.map(({ name, state, footprintBytes, contextTokens, unusableBecause }) => [
    name,
    state,
    footprintBytes === null ? "" : formatBytes(footprintBytes),
    contextTokens === null ? "" : String(contextTokens),
    unusableBecause ?? "",
  ]);
  return ["", table([["MODEL", "STATE", "MEMORY", "CONTEXT", ""], ...rows])];
}

/** Only where another policy acts, or none does: that must not be overlooked. */
function modeLines({ mode, observed, promoted }: ScalingStatus): string[] {
  const acting = promoted ? [promotedLine(promoted)] : [];
  if (mode !== "observe") return acting;
  const lines = ["mode      observe: NOTHING IS SHED OR RESTORED, only recorded (scaler.mode)"];
  if (observed)
    lines.push(`would     act since ${observed.sinceAt}: see conductor why ${observed.decisionId}`);
  return [...acting, ...lines];
}

const promotedLine = ({
  shadow,
  sinceAt,
  probationUntilAt,
}: NonNullable<ScalingStatus["promoted"]>): string =>
  `policy    shadow ${shadow} since ${sinceAt}, in place of scaler${probationUntilAt === null ? "" : `; on probation until ${probationUntilAt}`}`;
