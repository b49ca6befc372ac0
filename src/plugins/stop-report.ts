/** How a plugin's processes ended, in numbers and in words. */

import type { EndReport } from "./instance.ts";
import type { StopReport } from "./supervisor-ports.ts";

/** "1 process", "3 processes". */
const plural = (count: number): string => (count === 1 ? "1 process" : `${count} processes`);

/** The end of a process that nobody here ended, in one line. */
export function describeEnd({ cause, leftBehind, lastLine, status }: EndReport): string {
  const outlived = leftBehind > 0 ? `; ${plural(leftBehind)} outlived it and had to be killed` : "";
  const said = lastLine !== null && status.exitCode !== 0 ? `; last words: ${lastLine}` : "";
  return `${cause.text}${outlived}${said}`;
}

/** The end of a process that was to end, in one line. */
export function describeStop(report: EndReport): string {
  const parts = [report.cause.text];
  if (report.leftBehind > 0) parts.push(`${plural(report.leftBehind)} it had started had to be killed`);
  if (!report.gone) parts.push("some of its processes are still there: they are stuck in the kernel");
  return parts.join("; ");
}

/** All of them together. None: it was not running. */
export function stopReport(reports: readonly EndReport[], durationMs: number, drained: boolean): StopReport {
  const details = [...new Set(reports.map(describeStop))];
  return {
    gone: reports.every(({ gone }) => gone),
    killed: reports.some(({ killed }) => killed),
    leftBehind: reports.reduce((sum, { leftBehind }) => sum + leftBehind, 0),
    durationMs,
    drained,
    detail: reports.length === 0 ? "it was not running" : details.join("; "),
  };
}
