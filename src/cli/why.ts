import { formatBytes, formatDuration, formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { CliError, type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import { type ForecastView, trustOf } from "./forecast-facts.ts";

interface ActionView {
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

interface DecisionView {
  id: number;
  at: string;
  rule: string;
  reason: string;
  inputs: { measured?: { usedBytes: number; budgetBytes: number } } | null;
  forecast: ForecastView | null;
  actions: ActionView[];
  alternatives: { kind: string; plugin: string; because: string }[];
  outcome: string;
}

/** `conductor why`: a decision in words. */
export const whyCommand: Command = {
  name: "why",
  summary: "Explain a decision: by number, the last one, or the last one about a plugin",
  usage: "conductor why [ID | last | PLUGIN] [--port PORT] [-o json]",
  options: { ...serverOption, ...outputOption },
  positionals: 1,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const decision = await find(invocation, invocation.positionals[0] ?? "last");
    invocation.terminal.out(json ? JSON.stringify(decision, null, 2) : explain(decision));
    return exitCode.ok;
  },
};

async function find(invocation: Parameters<Command["run"]>[0], which: string): Promise<DecisionView> {
  const base = "/api/v1/scaling/decisions";
  if (/^\d+$/.test(which)) return askConductor<DecisionView>(invocation, `${base}/${which}`);
  const filter = which === "last" ? "" : `&plugin=${encodeURIComponent(which)}`;
  const { decisions } = await askConductor<{ decisions: DecisionView[] }>(
    invocation,
    `${base}?limit=1${filter}`,
  );
  const [decision] = decisions;
  if (decision) return decision;
  throw new CliError(
    which === "last" ? "no decision was taken yet" : `${which}: no decision about a plugin of that name`,
  );
}

function explain({
  id,
  at,
  rule,
  reason,
  inputs,
  forecast,
  actions,
  alternatives,
  outcome,
}: DecisionView): string {
  const lines = [`decision ${id}, ${at}, rule "${rule}"`, "", `  ${reason}.`, ""];
  const measured = inputs?.measured;
  if (measured)
    lines.push(
      `  measured  ${formatBytes(measured.usedBytes)} of ${formatBytes(measured.budgetBytes)} (${formatPercent(measured.usedBytes / measured.budgetBytes)})`,
    );
  if (forecast)
    lines.push(
      `  forecast  ${formatPercent(forecast.smoothedRatio)}, 95 % interval ${formatPercent(forecast.lowerRatio)} to ${formatPercent(forecast.upperRatio)} (${trustOf(forecast)})`,
    );
  for (const action of actions)
    lines.push(`  ${action.urgent ? "at once   " : "action    "}${describe(action)}`);
  for (const { kind, plugin, because } of alternatives)
    lines.push(`  not       ${kind} ${plugin}: ${because}`);
  lines.push(`  outcome   ${outcome}`);
  return lines.join("\n");
}

/** "; crossed 21 ms before the reading, killed 1 ms after it"; nothing where it is not known. */
function pace({ urgent, noticedMs, signalMs }: ActionView): string {
  if (signalMs === undefined) return "";
  const crossed =
    noticedMs === undefined ? "" : `the line was crossed ${formatDuration(noticedMs)} before the reading, `;
  return `; ${crossed}${urgent ? "killed" : "told to stop"} ${formatDuration(signalMs)} after it`;
}

function describe(action: ActionView): string {
  const { kind, plugin, expectedBytes, actualBytes, durationMs, detail } = action;
  const bytes = (value: number | null | undefined) =>
    value === null || value === undefined ? "an unknown amount" : formatBytes(value);
  const verb = kind === "shed" ? "back" : "taken";
  const result =
    actualBytes === undefined
      ? "still under way"
      : `${bytes(actualBytes)} ${verb}${durationMs === undefined ? "" : ` in ${formatDuration(durationMs)}`}`;
  return `${kind} ${plugin}: expected ${bytes(expectedBytes)}, ${result}${detail ? ` (${detail})` : ""}${pace(action)}`;
}
