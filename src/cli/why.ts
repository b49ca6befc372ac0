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
import { decisionFacts } from "./why/decision-facts.ts";
import { type DecisionSource, type ShownDecision, withDecisions } from "./why/decision-source.ts";
import { decisionText } from "./why/decision-text.ts";
import { nowText, type StatusView } from "./why/now.ts";
import { sinceThen } from "./why/since.ts";

/** `conductor why`: a decision in words. */
export const whyCommand: Command = {
  name: "why",
  summary: "Explain a decision: by number, the last, the last about a plugin, or now",
  usage: "conductor why [ID | last | PLUGIN | now] [--port PORT] [-o json]",
  notes: [
    "now tells why nothing is done at the moment, or what is; the others tell what was done and why, from the record.",
    "Where no conductor answers, the record is read from the database of the configuration.",
  ],
  options: { ...serverOption, ...outputOption },
  positionals: 1,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const which = invocation.positionals[0] ?? "last";
    if (which === "now") return now(invocation, json);
    const told = await withDecisions(invocation, async (source) => {
      const decision = await find(source, which);
      if (json) return JSON.stringify(decision, null, 2);
      return decisionText(decision.id, decisionFacts(decision), await sinceThen(source, decision));
    });
    invocation.terminal.out(told);
    return exitCode.ok;
  },
};

async function now(invocation: Invocation, json: boolean): Promise<number> {
  const status = await askConductor<StatusView>(invocation, "/api/v1/scaling/status");
  invocation.terminal.out(json ? JSON.stringify(status, null, 2) : nowText(status));
  return exitCode.ok;
}

async function find(source: DecisionSource, which: string): Promise<ShownDecision> {
  if (/^\d{1,15}$/.test(which)) return source.byId(Number(which));
  const [decision] = await source.newest(1, which === "last" ? undefined : which);
  if (decision) return decision;
  throw new CliError(
    which === "last" ? "no decision was taken yet" : `${which}: no decision about a plugin of that name`,
  );
}
