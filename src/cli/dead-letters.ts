/** `conductor dead-letters`: lists the requests that were kept, shows one, sends it again, discards it, exports them. */

import { escaped } from "../log.ts";
import { askConductor, followConductor } from "./client.ts";
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
import { type LetterRow, type LetterView, letterTable, letterText } from "./dead-letter-text.ts";
import { unknownAction } from "./unknown-action.ts";
import { webhookLetters, webhookUsages } from "./webhook-letters.ts";

const base = "/api/v1/dead-letters";
const filterFlags = ["platform", "kind", "state", "since"] as const;

interface Action {
  name: string;
  usage: string;
  /** Whether it takes the number of a letter. */
  takesId: "never" | "needed" | "or filter";
  flags: readonly string[];
  run(invocation: Invocation, id: string | null): Promise<number>;
}

const filterUsage = "[FILTER]";

/** The filter that the flags name. */
function filterOf(invocation: Invocation): Record<string, string> {
  const given = filterFlags.flatMap((name) => {
    const value = textFlag(invocation, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(given);
}

const queryOf = (parameters: Record<string, string>): string => {
  const text = new URLSearchParams(parameters).toString();
  return text === "" ? "" : `?${text}`;
};

async function list(invocation: Invocation): Promise<number> {
  const json = wantsJson(invocation);
  const limit = textFlag(invocation, "limit");
  const query = queryOf({ ...filterOf(invocation), ...(limit === undefined ? {} : { limit }) });
  const page = await askConductor<{ deadLetters: LetterRow[]; next: string | null }>(
    invocation,
    `${base}${query}`,
  );
  const { terminal } = invocation;
  if (json) terminal.out(JSON.stringify(page, null, 2));
  else if (page.deadLetters.length === 0) terminal.out("no dead letters");
  else terminal.out(letterTable(page.deadLetters));
  if (!json && page.next !== null) terminal.err("conductor: there are older ones; --limit shows up to 500");
  return exitCode.ok;
}

async function show(invocation: Invocation, id: string | null): Promise<number> {
  const json = wantsJson(invocation);
  const letter = await askConductor<LetterView>(invocation, `${base}/${id}`);
  invocation.terminal.out(json ? JSON.stringify(letter, null, 2) : letterText(letter));
  return exitCode.ok;
}

interface Redriven {
  outcome: string;
  reason: string;
}

async function redrive(invocation: Invocation, id: string | null): Promise<number> {
  const json = wantsJson(invocation);
  const { terminal } = invocation;
  if (id === null) return many(invocation, "redrive", "released");
  const answer = await askConductor<Redriven>(invocation, `${base}/${id}/redrive`, { method: "POST" });
  const { outcome, reason } = answer;
  terminal.out(json ? JSON.stringify(answer, null, 2) : `dead letter ${id}: ${outcome}: ${escaped(reason)}`);
  return outcome === "answered" ? exitCode.ok : exitCode.failed;
}

async function discard(invocation: Invocation, id: string | null): Promise<number> {
  if (id === null) return many(invocation, "discard", "discarded");
  const json = wantsJson(invocation);
  const letter = await askConductor<LetterView>(invocation, `${base}/${id}`, { method: "DELETE" });
  invocation.terminal.out(json ? JSON.stringify(letter, null, 2) : `dead letter ${id}: discarded`);
  return exitCode.ok;
}

/** All that the flags choose. */
async function many(
  invocation: Invocation,
  order: "redrive" | "discard",
  done: "released" | "discarded",
): Promise<number> {
  const json = wantsJson(invocation);
  const filter = filterOf(invocation);
  const all = invocation.flags.all === true;
  if (!all && Object.keys(filter).length === 0)
    throw new CliError(
      `${order}: expected the number of a dead letter, or some of ${filterFlags.map((flag) => `--${flag}`).join(", ")}, or --all`,
      exitCode.usage,
    );
  const body = { ...filter, ...(all ? { all } : {}) };
  const answer = await askConductor<Record<string, number>>(invocation, `${base}/${order}`, {
    method: "POST",
    body,
  });
  const count = answer[done] ?? 0;
  const what = `${count} dead ${count === 1 ? "letter" : "letters"} ${done}`;
  const then = done === "released" ? "; each is sent when its turn comes and its plugin is ready" : "";
  invocation.terminal.out(json ? JSON.stringify(answer, null, 2) : `${what}${then}`);
  return exitCode.ok;
}

/** Each letter as a line of JSON, whatever -o says. */
async function exportAll(invocation: Invocation): Promise<number> {
  const path = `${base}/export${queryOf(filterOf(invocation))}`;
  const body = await followConductor(invocation, path, new AbortController().signal);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) invocation.terminal.out(line);
  }
  if (rest === "") return exitCode.ok;
  throw new CliError("the export broke off in the middle of a dead letter; the lines before it are whole");
}

const actions: readonly Action[] = [
  {
    name: "list",
    usage: `list ${filterUsage} [--limit COUNT]`,
    takesId: "never",
    flags: ["limit"],
    run: list,
  },
  { name: "show", usage: "show ID", takesId: "needed", flags: [], run: show },
  {
    name: "redrive",
    usage: `redrive ID | FILTER | --all`,
    takesId: "or filter",
    flags: ["all"],
    run: redrive,
  },
  {
    name: "discard",
    usage: `discard ID | FILTER | --all`,
    takesId: "or filter",
    flags: ["all"],
    run: discard,
  },
  { name: "export", usage: `export ${filterUsage}`, takesId: "never", flags: [], run: exportAll },
];

function find(asked: string): Action {
  const names = actions.map(({ name }) => name);
  const action = actions.find(({ name }) => name === asked);
  if (action) return action;
  throw unknownAction(asked, names);
}

/** The number of the letter, where one is given; throws CliError for what does not go together. */
function checkedId({ name, usage, takesId, flags }: Action, invocation: Invocation): string | null {
  const [, id, extra] = invocation.positionals;
  const unexpected = takesId === "never" ? id : extra;
  if (unexpected !== undefined)
    throw new CliError(
      `${unexpected}: unexpected argument; usage: conductor dead-letters ${usage}`,
      exitCode.usage,
    );
  if (takesId === "needed" && id === undefined)
    throw new CliError(`${name}: expected the number of a dead letter`, exitCode.usage);
  if (id !== undefined && !/^\d{1,15}$/.test(id))
    throw new CliError(`${id}: expected the number of a dead letter`, exitCode.usage);
  const usable = id === undefined && takesId !== "needed" ? [...filterFlags, ...flags] : [];
  const unread = Object.keys(ownFlags).find(
    (flag) => invocation.flags[flag] !== undefined && !usable.includes(flag),
  );
  if (unread !== undefined)
    throw new CliError(
      `--${unread}: not with ${name}${id === undefined ? "" : " ID"}; usage: conductor dead-letters ${usage}`,
      exitCode.usage,
    );
  return id ?? null;
}

const ownFlags = {
  platform: { type: "string", help: "Only those for this platform" },
  kind: { type: "string", help: "Only those parked for this reason, such as shed or timeout" },
  state: { type: "string", help: "Only waiting, redriving, answered, poison, discarded or expired ones" },
  since: { type: "string", help: "Only those parked then or later, such as 2026-01-31T08:00:00Z" },
  limit: { type: "string", help: "list: how many, 1 to 500 (default: 50)" },
  all: { type: "boolean", help: "redrive, discard: all that wait or are poison" },
  webhooks: { type: "boolean", help: "Not requests, but the events that webhooks did not take" },
} as const;

export const deadLettersCommand: Command = {
  name: "dead-letters",
  summary: "List the requests that were kept; send them again, discard, export",
  usage: [
    "conductor dead-letters [--port PORT] [-o json]",
    ...actions.map(({ usage }) => `conductor dead-letters ${usage}`),
    ...webhookUsages.map((usage) => `conductor dead-letters --webhooks ${usage}`),
  ].join("\n"),
  notes: [
    "FILTER: some of --platform, --kind, --state, --since; every one that is given has to hold.",
    "A letter that is redriven may reach its plugin more than once; its record is closed exactly once.",
  ],
  options: { ...ownFlags, ...serverOption, ...outputOption },
  positionals: Number.POSITIVE_INFINITY,
  run: (invocation) => {
    if (invocation.flags.webhooks === true) return webhookLetters(invocation, Object.keys(ownFlags));
    const action = find(invocation.positionals[0] ?? "list");
    return action.run(invocation, checkedId(action, invocation));
  },
};
