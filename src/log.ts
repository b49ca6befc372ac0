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
const secretKey = /token|secret|password|authorization|cookie|api_?key/i;
const longestFieldChars = 2_000;

/** A field as it may be logged: secrets masked, errors by message, long texts cut. */
function printable(key: string, value: unknown): unknown {
  if (secretKey.test(key) && value !== undefined && value !== null) return "***";
  if (value instanceof Error) return value.message;
  if (typeof value === "string" && value.length > longestFieldChars)
    return `${value.slice(0, longestFieldChars)}… (${value.length} characters)`;
  if (typeof value === "bigint") return value.toString();
  return value;
}

const asJson = (level: LogLevel, event: string, fields: LogFields, nowMs: number): string =>
  JSON.stringify({ time: new Date(nowMs).toISOString(), level, event, ...fields }, printable);

function asPretty(level: LogLevel, event: string, fields: LogFields, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => {
    const shown = printable(key, value);
    return `${key}=${typeof shown === "string" ? shown : JSON.stringify(shown, printable)}`;
  });
  return `${time} \x1b[${colour[level]}m${level.padEnd(5)}\x1b[0m ${event} \x1b[90m${rest.join(" ")}\x1b[0m`;
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
