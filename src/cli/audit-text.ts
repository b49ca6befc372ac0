/** The report on the audit's chain in words. */

import type { ChainReport } from "../storage/chain-report.ts";

const time = (atMs: number): string => new Date(atMs).toISOString();

const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

/** Lines for a person; the first says whether all is as it was written. */
export function chainText(report: ChainReport): string[] {
  const { broken } = report;
  if (broken === null) return [intactLine(report), ...notes(report)];
  const { decisionId, seq, kind, detail } = broken;
  const at = decisionId === null ? "" : ` at decision ${decisionId}`;
  const link = seq === null ? "" : ` (link ${seq})`;
  const before =
    report.decisions === 0
      ? "nothing before it could be verified"
      : `${counted(report.decisions, "decision")} before it verified`;
  return [`conductor: the audit does not hold${at}${link}, ${kind}: ${detail}; ${before}`];
}

function intactLine({ decisions, firstAtMs, lastAtMs, head }: ChainReport): string {
  if (head === null) return "0 decisions, nothing is chained yet";
  const span =
    firstAtMs === null || lastAtMs === null ? "" : `, from ${time(firstAtMs)} to ${time(lastAtMs)}`;
  return `${counted(decisions, "decision")}${span}, chain intact, head ${head.hash}`;
}

function notes({ unchained, lost, removedThroughId, sinceExpected, head }: ChainReport): string[] {
  const lines: string[] = [];
  if (unchained > 0)
    lines.push(
      `${counted(unchained, "decision")} of before the chain began: nothing shows whether they were changed`,
    );
  if (removedThroughId !== null) lines.push(`decisions up to ${removedThroughId} were deleted by retention`);
  if (lost.decisions + lost.outcomes > 0)
    lines.push(
      `${counted(lost.decisions, "decision")} and ${counted(lost.outcomes, "outcome")} were lost before they could be written`,
    );
  if (sinceExpected !== null)
    lines.push(
      sinceExpected === 0
        ? "the noted hash is the head: nothing was cut off"
        : `the noted hash is in the chain, ${counted(sinceExpected, "link")} before its head`,
    );
  else if (head !== null)
    lines.push("without --expect a chain that was cut off at its end, or written anew, cannot be told");
  return lines;
}
