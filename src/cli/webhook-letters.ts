/** `conductor dead-letters --webhooks`: the events that webhooks did not take; lists, delivers again, discards. */

import { escaped } from "../log.ts";
import { askConductor } from "./client.ts";
import { CliError, exitCode, type Invocation, wantsJson } from "./command.ts";
import { table } from "./table.ts";

const base = "/api/v1/webhooks";

interface LetterRow {
  id: number;
  at: string;
  webhook: string;
  state: string;
  redrives: number;
  reason: string;
  lastError: string | null;
  event: { name: string };
}

export const webhookUsages = ["list", "redrive ID | --all", "discard ID"] as const;

const usageError = (problem: string): CliError =>
  new CliError(
    `${problem}; usage: conductor dead-letters --webhooks ${webhookUsages.join(" | ")}`,
    exitCode.usage,
  );

const letterTable = (letters: readonly LetterRow[]): string =>
  table([
    ["ID", "GIVEN UP", "WEBHOOK", "EVENT", "STATE", "REDRIVES", "REASON"],
    ...letters.map(({ id, at, webhook, event, state, redrives, lastError, reason }) => [
      String(id),
      at,
      webhook,
      event.name,
      state,
      String(redrives),
      escaped(lastError ?? reason),
    ]),
  ]);

async function list(invocation: Invocation): Promise<number> {
  const json = wantsJson(invocation);
  const { undelivered } = await askConductor<{ undelivered: LetterRow[] }>(invocation, `${base}?limit=1000`);
  const { terminal } = invocation;
  if (json) terminal.out(JSON.stringify({ undelivered }, null, 2));
  else terminal.out(undelivered.length === 0 ? "no undelivered events" : letterTable(undelivered));
  return exitCode.ok;
}

async function redrive(invocation: Invocation, id: number | null): Promise<number> {
  const json = wantsJson(invocation);
  const all = invocation.flags.all === true;
  if (all === (id !== null)) throw usageError("redrive: expected either the number of a letter or --all");
  const body = id === null ? { all } : { ids: [id] };
  const answer = await askConductor<{ released: number }>(invocation, `${base}/dead-letters/redrive`, {
    method: "POST",
    body,
  });
  const { released } = answer;
  const then = released > 0 ? "; they are delivered in order, at most 5 a second" : "";
  const text = `${released} undelivered ${released === 1 ? "event" : "events"} released${then}`;
  invocation.terminal.out(json ? JSON.stringify(answer, null, 2) : text);
  return released > 0 || all ? exitCode.ok : exitCode.failed;
}

async function discard(invocation: Invocation, id: number | null): Promise<number> {
  const json = wantsJson(invocation);
  if (id === null) throw usageError("discard: expected the number of a letter");
  const path = `${base}/dead-letters/${id}`;
  const letter = await askConductor<LetterRow>(invocation, path, { method: "DELETE" });
  invocation.terminal.out(json ? JSON.stringify(letter, null, 2) : `undelivered event ${id}: discarded`);
  return exitCode.ok;
}

/** Carries out what the arguments after `--webhooks` say; `flags` are those of the whole command. Throws CliError. */
export function webhookLetters(invocation: Invocation, flags: readonly string[]): Promise<number> {
  const [action = "list", text, extra] = invocation.positionals;
  const unread = flags.find(
    (flag) =>
      invocation.flags[flag] !== undefined &&
      flag !== "webhooks" &&
      !(flag === "all" && action === "redrive"),
  );
  if (unread !== undefined) throw usageError(`--${unread}: not with --webhooks ${action}`);
  const unexpected = action === "list" ? text : extra;
  if (unexpected !== undefined) throw usageError(`${unexpected}: unexpected argument`);
  if (text !== undefined && !/^\d{1,15}$/.test(text))
    throw usageError(`${text}: expected the number of a letter`);
  const id = text === undefined ? null : Number(text);
  if (action === "list") return list(invocation);
  if (action === "redrive") return redrive(invocation, id);
  if (action === "discard") return discard(invocation, id);
  throw usageError(`${action}: expected one of list, redrive, discard`);
}
