/** `conductor models`: the local models of the running conductor, and orders to one of them. */

import { nearest } from "../config/nearest.ts";
import { formatBytes } from "../config/units.ts";
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
import { table } from "./table.ts";

interface ModelRow {
  name: string;
  state: string;
  answering: boolean;
  pinned: boolean;
  unloadedByPerson: boolean;
  contextTokens: number;
  loadedContextTokens: number | null;
  footprintBytes: number | null;
  needBytes: number | null;
  tokensPerSecond: number | null;
  firstTextMs: number | null;
  failedRatio: number | null;
  notLoadedBecause: string | null;
  failure: { message: string; remedy: string } | null;
}

interface ModelsView {
  models: ModelRow[];
  switches: number;
  suggestions: { text: string }[];
}

const base = "/api/v1/models";

const orders: Readonly<Record<string, readonly [method: "POST" | "DELETE", path: string]>> = {
  load: ["POST", "load"],
  unload: ["POST", "unload"],
  pin: ["POST", "pin"],
  unpin: ["DELETE", "pin"],
};
const actions = Object.keys(orders);

export const modelsCommand: Command = {
  name: "models",
  summary: "List the local models, load or unload one, pin the one that answers",
  usage: [
    "conductor models [--port PORT] [-o json]",
    ...actions.map((action) => `conductor models ${action} NAME`),
  ].join("\n"),
  notes: [
    "load: at once, where it fits. unload: after the answers under way, and it stays away until load or pin.",
    "pin: no better model is taken in its place; it gives way to memory only. A restart forgets all three.",
  ],
  options: { ...serverOption, ...outputOption },
  positionals: 2,
  run: async (invocation) => {
    const [action, name] = invocation.positionals;
    const json = wantsJson(invocation);
    const { out } = invocation.terminal;
    if (action !== undefined) {
      const row = await order(invocation, action, name);
      out(json ? JSON.stringify(row, null, 2) : modelTable([row]));
      return exitCode.ok;
    }
    const view = await askConductor<ModelsView>(invocation, base);
    out(json ? JSON.stringify(view, null, 2) : describe(view));
    return exitCode.ok;
  },
};

function order(invocation: Invocation, action: string, name: string | undefined): Promise<ModelRow> {
  const known = orders[action];
  if (!known) {
    const near = nearest(action, actions);
    const hint = near ? `did you mean "${near}"?` : `expected one of ${actions.join(", ")}`;
    throw new CliError(`${action}: ${hint}`, exitCode.usage);
  }
  if (name === undefined) throw new CliError(`${action}: expected the name of a model`, exitCode.usage);
  const [method, path] = known;
  return askConductor(invocation, `${base}/${encodeURIComponent(name)}/${path}`, { method });
}

function describe({ models, switches, suggestions }: ModelsView): string {
  if (models.length === 0) return "no models (models: […] in the configuration)";
  const advice = suggestions.map(({ text }) => `suggestion  ${text}`);
  return [modelTable(models), "", `switches    ${switches}`, ...advice].join("\n");
}

function modelTable(models: readonly ModelRow[]): string {
  const rows = models.map((model) => [
    model.name,
    stateText(model),
    model.footprintBytes !== null
      ? formatBytes(model.footprintBytes)
      : model.needBytes === null
        ? "-"
        : `(${formatBytes(model.needBytes)})`,
    String(model.loadedContextTokens ?? model.contextTokens),
    model.tokensPerSecond === null ? "-" : model.tokensPerSecond.toFixed(1),
    model.firstTextMs === null ? "-" : `${Math.round(model.firstTextMs)} ms`,
    model.failedRatio === null ? "-" : `${Math.round(model.failedRatio * 100)} %`,
    whyText(model),
  ]);
  return table([["NAME", "STATE", "MEMORY", "CONTEXT", "TOKENS/S", "FIRST TEXT", "FAILED", "WHY"], ...rows]);
}

function stateText({ state, answering, pinned, unloadedByPerson }: ModelRow): string {
  const words = [answering ? "answers" : state];
  if (pinned) words.push("pinned");
  if (unloadedByPerson && state !== "unloaded") words.push("leaving");
  return words.join(", ");
}

const whyText = ({ failure, notLoadedBecause }: ModelRow): string =>
  failure ? `${failure.message}; ${failure.remedy}` : (notLoadedBecause ?? "");
