/** Dead letters in words. What clients and plugins wrote may hold commands to a terminal: they are written out. */

import { formatBytes, formatDuration } from "../config/units.ts";
import { escaped } from "../log.ts";
import { table } from "./table.ts";

export interface LetterRow {
  id: number;
  requestId: string;
  platform: string;
  type: string;
  kind: string;
  reason: string;
  state: string;
  stateReason: string | null;
  heldForAPerson: boolean;
  redrives: number;
  parkedAt: string;
  expiresAt: string;
  nextAt: string | null;
  closedAt: string | null;
  idempotencyKey: string | null;
  idempotent: boolean;
  bytes: number;
}

export interface LetterView extends LetterRow {
  payload: unknown;
  headers: Record<string, string>;
  attempts: { at: string; plugin: string; outcome: string; error: string | null; durationMs: number }[];
  attemptsLeftOut: number;
  result: unknown;
}

const mostReasonCharacters = 60;

const cut = (text: string): string =>
  text.length <= mostReasonCharacters ? text : `${text.slice(0, mostReasonCharacters - 1).toWellFormed()}…`;

const stateOf = ({ state, heldForAPerson }: LetterRow): string =>
  heldForAPerson ? `${state} (for a person)` : state;

/** One line a letter, the newest first. */
export const letterTable = (letters: readonly LetterRow[]): string =>
  table([
    ["ID", "PARKED", "PLATFORM", "KIND", "STATE", "REDRIVES", "REASON"],
    ...letters.map((letter) => [
      String(letter.id),
      letter.parkedAt,
      escaped(letter.platform),
      letter.kind,
      stateOf(letter),
      String(letter.redrives),
      escaped(cut(letter.stateReason ?? letter.reason)),
    ]),
  ]);

/** Everything that is kept of one. */
export function letterText(letter: LetterView): string {
  const { id, platform, type, kind, reason, stateReason, redrives, attemptsLeftOut } = letter;
  const lines = [
    `dead letter ${id}: ${stateOf(letter)}${stateReason === null ? "" : `: ${escaped(stateReason)}`}`,
    "",
    `  request   ${escaped(letter.requestId)}, type ${escaped(type)}, to ${escaped(platform)}`,
    `  parked    ${letter.parkedAt}, ${kind}: ${escaped(reason)}`,
    `  redrives  ${redrives}${letter.nextAt === null ? "" : `, the next one not before ${letter.nextAt}`}`,
    `  expires   ${letter.expiresAt}`,
    `  key       ${letter.idempotencyKey ?? "none"}${letter.idempotent ? ", may be carried out twice" : ""}`,
    `  takes     ${formatBytes(letter.bytes)}`,
  ];
  if (attemptsLeftOut > 0) lines.push(`  attempts  ${attemptsLeftOut} older ones are not kept`);
  for (const { at, plugin, outcome, error, durationMs } of letter.attempts)
    lines.push(
      `  attempt   ${at} ${escaped(plugin)}: ${outcome} after ${formatDuration(Math.round(durationMs))}${error === null ? "" : `: ${escaped(error)}`}`,
    );
  lines.push(`  payload   ${escaped(JSON.stringify(letter.payload))}`);
  if (letter.state === "answered") lines.push(`  result    ${escaped(JSON.stringify(letter.result))}`);
  return lines.join("\n");
}
