/** `conductor audit`: checks that the record of decisions is as it was written, tells its newest hash, exports it. */

import * as z from "zod";
import { auditLine } from "../http/decision-view.ts";
import { chainText } from "./audit-text.ts";
import {
  CliError,
  type Command,
  configOption,
  exitCode,
  type Invocation,
  outputOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { databasePath, readDatabase } from "./database-place.ts";
import { unknownAction } from "./unknown-action.ts";

/** Decisions read at once for the export. */
const exportPage = 200;

interface Action {
  name: string;
  usage: string;
  flags: readonly string[];
  run(invocation: Invocation): number;
}

function expectedHash(invocation: Invocation): string | null {
  const text = textFlag(invocation, "expect");
  if (text === undefined) return null;
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new CliError(
    `--expect ${text}: expected the 64 hex digits that conductor audit head printed`,
    exitCode.usage,
  );
}

function verify(invocation: Invocation): number {
  const json = wantsJson(invocation);
  const expected = expectedHash(invocation);
  const path = databasePath(invocation);
  const report = readDatabase(path, ({ chain }) => chain.verify(expected));
  const intact = report.broken === null;
  const { terminal } = invocation;
  if (json) terminal.out(JSON.stringify({ database: path, intact, ...report }, null, 2));
  else for (const line of chainText(report)) terminal[intact ? "out" : "err"](line);
  return intact ? exitCode.ok : exitCode.failed;
}

function head(invocation: Invocation): number {
  const json = wantsJson(invocation);
  const path = databasePath(invocation);
  const newest = readDatabase(path, ({ chain }) => chain.head());
  if (json) invocation.terminal.out(JSON.stringify({ database: path, head: newest }, null, 2));
  else if (newest === null) throw new CliError(`${path}: nothing is chained yet: no decision was taken`);
  else invocation.terminal.out(newest.hash);
  return exitCode.ok;
}

function sinceMs(invocation: Invocation): number {
  const text = textFlag(invocation, "since");
  if (text === undefined) return Number.MIN_SAFE_INTEGER;
  if (z.iso.datetime({ offset: true }).safeParse(text).success) return Date.parse(text);
  throw new CliError(`--since ${text}: expected a time such as 2026-01-31T08:00:00Z`, exitCode.usage);
}

/** Each decision as a line of JSON, the oldest first. */
function exportAll(invocation: Invocation): number {
  const from = sinceMs(invocation);
  const { terminal } = invocation;
  return readDatabase(databasePath(invocation), ({ decisions }) => {
    let unreadable = 0;
    for (let afterId: number | null = 0; afterId !== null; ) {
      const page = decisions.following(afterId, from, exportPage);
      for (const record of page.decisions) terminal.out(JSON.stringify(auditLine(record)));
      for (const { id, problem } of page.unreadable) terminal.err(`conductor: decision ${id}: ${problem}`);
      unreadable += page.unreadable.length;
      afterId = page.nextAfterId;
    }
    return unreadable === 0 ? exitCode.ok : exitCode.failed;
  });
}

const where = "[--database FILE]";
const actions: readonly Action[] = [
  {
    name: "verify",
    usage: `verify [--expect HASH] ${where} [-o json]`,
    flags: ["expect", "output"],
    run: verify,
  },
  { name: "head", usage: `head ${where} [-o json]`, flags: ["output"], run: head },
  { name: "export", usage: `export [--since TIME] ${where}`, flags: ["since", "output"], run: exportAll },
];

function find(asked: string | undefined): Action {
  const names = actions.map(({ name }) => name);
  if (asked === undefined) throw new CliError(`audit: expected one of ${names.join(", ")}`, exitCode.usage);
  const action = actions.find(({ name }) => name === asked);
  if (action) return action;
  throw unknownAction(asked, names);
}

const ownFlags = {
  expect: { type: "string", help: "verify: a hash that head printed earlier; it has to be in the chain" },
  since: { type: "string", help: "export: only decisions of then or later, such as 2026-01-31T08:00:00Z" },
} as const;

/** `conductor audit`: reads the database itself, also while a conductor writes it. */
export const auditCommand: Command = {
  name: "audit",
  summary: "Verify that no decision on record was changed since; export them",
  usage: actions.map(({ usage }) => `conductor audit ${usage}`).join("\n"),
  notes: [
    "Every decision, and what came of it, carries a SHA-256 hash over itself and the one before it. verify",
    "recomputes them all and names the first that does not fit: changed, removed, put in. Exit code 1: it found one.",
    "",
    "What it cannot see by itself: whoever can write the database can also cut off its newest part, or write a",
    "whole chain anew. So note the hash that head prints somewhere else now and then (another host, a mail, a log",
    "that only grows) and verify with --expect: everything up to the noted hash is then proved unchanged.",
    "What retention deletes and what a full disk made conductor throw away stand in the chain too.",
  ],
  options: {
    ...ownFlags,
    database: { type: "string", help: "The database file, in place of the configuration's" },
    ...configOption,
    ...outputOption,
  },
  positionals: 2,
  run: async (invocation) => {
    const [asked, extra] = invocation.positionals;
    const action = find(asked);
    if (extra !== undefined)
      throw new CliError(
        `${extra}: unexpected argument; usage: conductor audit ${action.usage}`,
        exitCode.usage,
      );
    const unread = Object.keys(ownFlags).find(
      (flag) => invocation.flags[flag] !== undefined && !action.flags.includes(flag),
    );
    if (unread !== undefined)
      throw new CliError(
        `--${unread}: not with ${action.name}; usage: conductor audit ${action.usage}`,
        exitCode.usage,
      );
    return action.run(invocation);
  },
};
