/** `conductor shadow`: the policies that decide beside the one that acts, and letting one of them act. */

import { askConductor } from "./client.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  serverOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { compareShadow } from "./compare-shadow.ts";
import { table } from "./table.ts";
import { unknownAction } from "./unknown-action.ts";

interface PromotedView {
  shadow: string;
  sinceAt: string;
  by: string;
  who: string | null;
  reason: string;
  probationUntilAt: string | null;
}

interface ShadowsView {
  acting: { promoted: PromotedView | null };
  shadows: {
    name: string;
    acts: boolean;
    failed: boolean;
    sinceAt: string;
    /** Absent: from an older conductor. */
    evidence?: { at: string; because: string } | null;
    agreements: number;
    differences: number;
    wouldHave: { shed: Record<string, number>; restore: Record<string, number> };
    differsSinceAt: string | null;
  }[];
}

const base = "/api/v1/scaling/shadows";
const actions = ["promote", "rollback", "compare"];

export const shadowCommand: Command = {
  name: "shadow",
  summary: "List the shadow policies, let one act, go back, or compare them",
  usage: [
    "conductor shadow [--port PORT] [-o json]",
    "conductor shadow promote NAME [--reason TEXT]",
    "conductor shadow rollback [--reason TEXT]",
    "conductor shadow compare [--since 7d] [-o json]",
  ].join("\n"),
  notes: [
    "promote: its policy acts in place of the configured one, also after a restart, until rollback.",
    "compare reads the record, with or without a running conductor.",
  ],
  options: {
    ...serverOption,
    ...outputOption,
    reason: { type: "string", help: "promote, rollback: why, for who reads it later" },
    since: { type: "string", help: "compare: how far back (default: 7d)" },
  },
  positionals: 2,
  run: async (invocation) => {
    const [action, name] = invocation.positionals;
    if (action !== undefined && !actions.includes(action)) throw unknownAction(action, actions);
    if (action === "compare") return compareShadow(invocation);
    if (action !== "promote" && name !== undefined)
      throw new CliError(`${name}: unexpected argument`, exitCode.usage);
    const json = wantsJson(invocation);
    const view = await ask(invocation, action, name);
    invocation.terminal.out(json ? JSON.stringify(view, null, 2) : describe(view));
    return exitCode.ok;
  },
};

function ask(
  invocation: Invocation,
  action: string | undefined,
  name: string | undefined,
): Promise<ShadowsView> {
  const reason = textFlag(invocation, "reason");
  if (action === undefined) {
    if (reason !== undefined) throw new CliError("--reason: only with promote, rollback", exitCode.usage);
    return askConductor(invocation, base);
  }
  if (action === "promote" && name === undefined)
    throw new CliError("promote: expected the name of a shadow policy", exitCode.usage);
  const { SUDO_USER, USER, LOGNAME } = invocation.environment;
  const who = SUDO_USER ?? USER ?? LOGNAME;
  const body = { ...(who ? { who } : {}), ...(reason === undefined ? {} : { reason }) };
  const path =
    action === "promote" ? `${base}/${encodeURIComponent(name ?? "")}/promote` : `${base}/rollback`;
  return askConductor(invocation, path, { method: "POST", body });
}

function describe({ acting: { promoted }, shadows }: ShadowsView): string {
  const acts = promoted ? promotedText(promoted) : "acting    the configured policy (scaler)";
  if (shadows.length === 0) return `${acts}\n\nno shadow policies (shadow: […] in the configuration)`;
  const rows = shadows.map(({ name, sinceAt, agreements, differences, wouldHave, ...shadow }) => [
    name,
    shadow.failed ? "failed" : shadow.acts ? "acts" : shadow.differsSinceAt ? "differs" : "agrees",
    sinceAt,
    String(agreements),
    String(differences),
    countsText(wouldHave.shed),
    countsText(wouldHave.restore),
  ]);
  const heading = ["NAME", "NOW", "WATCHED SINCE", "AGREED", "DIFFERED", "WOULD HAVE SHED", "RESTORED"];
  const judged = shadows.flatMap(({ name, acts, evidence }) =>
    evidence && !acts ? [`evidence  ${name} at ${evidence.at}: ${evidence.because}`] : [],
  );
  return [acts, table([heading, ...rows]), ...(judged.length > 0 ? [judged.join("\n")] : [])].join("\n\n");
}

function promotedText({ shadow, sinceAt, by, who, reason, probationUntilAt }: PromotedView): string {
  const probation = probationUntilAt === null ? "" : `, on probation until ${probationUntilAt}`;
  return `acting    shadow ${shadow} since ${sinceAt} (${by}${who === null ? "" : ` ${who}`}: ${reason})${probation}; the configured policy (scaler) is overridden`;
}

const countsText = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([plugin, count]) => `${plugin} ${count}`)
    .join(", ") || "-";
