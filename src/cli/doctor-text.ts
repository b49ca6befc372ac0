/** The findings of `conductor doctor` for a terminal of 100 columns. */

import type { Support } from "../plugins/enforcement.ts";

export type SupportStatus = "ok" | "partly" | "missing";

/** ok: nothing is missing. partly: something else stands in for it. missing: nothing does. */
export function statusOf({ mechanism, missing }: Support): SupportStatus {
  if (missing === null) return "ok";
  return mechanism === null ? "missing" : "partly";
}

/** Lines of a systemd unit that grant what a service can be granted. */
export const unitExcerpt = [
  "[Service]",
  "ExecStart=/usr/local/bin/conductor serve",
  "Delegate=yes",
  // Else systemd ends the plugins together with conductor: requests fail, and no plugin is asked to shut down.
  "KillMode=mixed",
  "OOMScoreAdjust=-900",
  "StateDirectory=conductor",
];

const columns = 100;
const gap = "  ";

/** `text` in lines of at most `width`, broken between words, and a longer word (a path) where it has to be. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  const words = text.split(" ").flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "g")) ?? [""]);
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function entry(support: Support, whatWidth: number): string[] {
  const { what, mechanism, missing, remedy } = support;
  const head = `${statusOf(support).padEnd(7)}${gap}${what.padEnd(whatWidth)}${gap}`;
  const width = columns - head.length;
  const body = [mechanism, missing].flatMap((text) => (text === null ? [] : wrapped(text, width)));
  if (remedy !== null)
    wrapped(remedy, width - 3).forEach((line, index) => {
      body.push(`${index === 0 ? "=> " : "   "}${line}`);
    });
  return body.map((line, index) => (index === 0 ? head : " ".repeat(head.length)) + line);
}

/** A line or more for each, then what a unit of systemd would have to say where something is missing. */
export function doctorText(checks: readonly Support[]): string {
  const whatWidth = Math.max(...checks.map(({ what }) => what.length));
  const lines = checks.flatMap((check) => entry(check, whatWidth));
  const wanting = checks.filter(({ missing }) => missing !== null).length;
  if (wanting === 0) return [...lines, "", `All ${checks.length} are there.`].join("\n");
  const told = `${wanting} of ${checks.length} ${wanting === 1 ? "is" : "are"} missing or held only in part. A systemd service gets most with:`;
  return [...lines, "", told, "", ...unitExcerpt.map((line) => `    ${line}`)].join("\n");
}
