import { formatBytes, formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import { type ForecastView, trustOf } from "./forecast-facts.ts";
import { type PluginRow, pluginTable } from "./plugins/plugin-table.ts";

interface ScalingStatus {
  mode: string;
  observed: { decisionId: number; sinceAt: string } | null;
  promoted: { shadow: string; sinceAt: string; probationUntilAt: string | null } | null;
  measured: { usedBytes: number; budgetBytes: number; usedRatio: number } | null;
  forecast: ForecastView | null;
  verdict: { rule: string; reason: string } | null;
  shedding: boolean;
}

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

function describe(scaling: ScalingStatus, plugins: PluginRow[]): string {
  const { measured, forecast, verdict, shedding } = scaling;
  const memory = measured
    ? `${formatBytes(measured.usedBytes)} of ${formatBytes(measured.budgetBytes)} (${formatPercent(measured.usedRatio)})`
    : "not measured yet";
  const ahead = forecast
    ? `${formatPercent(forecast.smoothedRatio)}, 95 % interval ${formatPercent(forecast.lowerRatio)} to ${formatPercent(forecast.upperRatio)} (${trustOf(forecast)})`
    : "none yet";
  return [
    `memory    ${memory}`,
    `forecast  ${ahead}`,
    ...modeLines(scaling),
    `scaler    ${shedding ? "shedding: " : ""}${verdict?.reason ?? "no evaluation yet"}`,
    "",
    pluginTable(plugins),
  ].join("\n");
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
