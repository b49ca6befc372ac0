/** The log: one JSON object a line on stderr, or a short coloured line on a terminal. Never a secret. */

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Record<string, unknown>;

/** What every module is handed instead of a console. `event` is a stable dotted name; `fields` carry units. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const rank: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const colour: Record<LogLevel, string> = { debug: "90", info: "36", warn: "33", error: "31" };
const secretKey = /token|secret|password|passwd|authorization|cookie|credential|api_?key|private_?key/i;
const longestFieldChars = 2_000;
/** Longest line; over it the fields are left out. */
const longestLineChars = 32_000;

/** A text as it may be logged: long ones cut, never between the halves of a pair. */
function cut(text: string): string {
  if (text.length <= longestFieldChars) return text;
  return `${text.slice(0, longestFieldChars).toWellFormed()}… (${text.length} characters)`;
}

/** A field as it may be logged: secrets masked, errors by message, long texts cut. */
function printable(key: string, value: unknown): unknown {
  if (secretKey.test(key) && value !== undefined && value !== null) return "***";
  if (value instanceof Error) return cut(value.message);
  if (typeof value === "string") return cut(value);
  if (typeof value === "bigint") return value.toString();
  return value;
}

/** JSON of anything: what it cannot hold (a cycle) is named instead. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value, printable) ?? "null";
  } catch (error) {
    return JSON.stringify({ unprintable: error instanceof Error ? error.message.split("\n")[0] : "unknown" });
  }
}

function asJson(level: LogLevel, event: string, fields: LogFields, nowMs: number): string {
  const head = { time: new Date(nowMs).toISOString(), level, event };
  // What every line has comes last, so that no field can pose as it; the order of a line stays.
  const line = jsonOf({ ...head, ...fields, ...head });
  if (line.startsWith('{"unprintable"')) return JSON.stringify({ ...head, ...JSON.parse(line) });
  return line.length <= longestLineChars ? line : JSON.stringify({ ...head, cutCharacters: line.length });
}

/** What a terminal takes as a command: control characters, and those that turn the direction of text. */
const unprintableCharacter = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** `text` as a terminal may show it: what it would take as a command is written out. */
export const escaped = (text: string): string =>
  text.replace(
    unprintableCharacter,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

function asPretty(level: LogLevel, event: string, fields: LogFields, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => {
    const shown = printable(key, value);
    return escaped(`${key}=${typeof shown === "string" ? shown : jsonOf(shown)}`);
  });
  const shown = rest.join(" ");
  const bounded =
    shown.length <= longestLineChars ? shown : `${shown.slice(0, longestLineChars).toWellFormed()}…`;
  return `${time} \x1b[${colour[level]}m${level.padEnd(5)}\x1b[0m ${escaped(event)} \x1b[90m${bounded}\x1b[0m`;
}

/** Writes lines of at least `level` through `write`, in the given format. */
export function createLog(options: {
  level: LogLevel;
  format: "json" | "pretty";
  nowMs: () => number;
  write: (line: string) => void;
}): Log {
  const render = options.format === "json" ? asJson : asPretty;
  const at =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (rank[level] < rank[options.level]) return;
      options.write(`${render(level, event, fields, options.nowMs())}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Discards everything. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
