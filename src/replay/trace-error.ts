/** Where in a trace something is wrong. Lines count from 1, the header's; a column is named as in the header. */
export interface TracePlace {
  file: string;
  line?: number;
  column?: string;
}

/** A trace that cannot be read as one; the message names the file, the line and the column, and what is wrong. */
export class TraceError extends Error {
  readonly code = "trace";
  constructor(
    readonly place: Readonly<TracePlace>,
    problem: string,
  ) {
    const { file, line, column } = place;
    const where = line === undefined ? file : `${file}:${line}`;
    super(`${where}: ${column === undefined ? "" : `column ${column}: `}${problem}`);
    this.name = "TraceError";
  }
}

const longestShown = 40;

/** Text from a file, safe and short enough to be shown. */
export function shown(text: string): string {
  const short = text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
  return JSON.stringify(short);
}
