/** `plugin.yaml` to a typed manifest, or every reason why not. */

import { describeIssues, type LineOf } from "../config/issues.ts";
import { needsStrictParser } from "./duplicate-keys.ts";
import { type PathProblem, pathProblems } from "./manifest-paths.ts";
import { type ManifestFields, manifestSchema } from "./manifest-schema.ts";

/** Largest `plugin.yaml`. */
export const largestManifestBytes = 64 * 1024;

type Runtime =
  | { runtime: "bun" /** Path in the folder. */; entry: string }
  | { runtime: "exec"; command: readonly string[]; protocol: "jsonrpc" | "none" };

/** One plugin as its author described it: bytes, milliseconds, defaults filled in. */
export type Manifest = Readonly<
  Omit<
    ManifestFields,
    "runtime" | "entry" | "command" | "protocol" | "platform" | "start" | "health" | "limits"
  >
> &
  Runtime & {
    platform: string;
    start: "eager" | "lazy";
    health: HealthCheck;
    limits: {
      memoryBytes: number | null;
      cpuCores: number | null;
      /** Processes and threads of one instance. */
      processes: number;
      openFiles: number;
      /** Requests at a time, for each instance. */
      concurrency: number;
      /** Requests that wait; one more is refused. */
      queue: number;
      logBytesPerSecond: number;
      requestTimeoutMs: number;
    };
  };

/** How a plugin's health is found out. Ports are on 127.0.0.1. */
export type HealthCheck =
  | { kind: "call" }
  | { kind: "none" }
  | { kind: "http"; port: number; path: string }
  | { kind: "tcp"; port: number }
  | { kind: "exec"; command: readonly string[] };

export type ParsedManifest =
  | { ok: true; manifest: Manifest }
  /** `name` is what the file calls itself, where that much could be read. */
  | { ok: false; name: string | null; errors: string[] };

type Raw = { value: unknown; lineOf: LineOf } | { errors: string[] };

/** Deepest nesting of a manifest's keys and lists, and most values in it. */
const deepest = 64;
const mostValues = 100_000;

async function strictly(text: string, file: string): Promise<Raw> {
  // The strict parser is large and slow: it is loaded for what the fast one refuses, to say where the mistake is.
  const { parseYaml } = await import("../config/yaml.ts");
  try {
    const parsed = parseYaml(text, file);
    if (!parsed.ok) return parsed;
    return isTooDeep(parsed.value) ? { errors: [tooDeep(file)] } : parsed;
  } catch (error) {
    if (error instanceof RangeError) return { errors: [tooDeep(file)] };
    throw error;
  }
}

const tooDeep = (file: string): string =>
  `${file}: too much in it; expected at most ${deepest} levels of nesting and ${mostValues} values`;

/** Level by level, since what is too deep would end a recursion the hard way. */
function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  let seen = 0;
  for (let depth = 0; level.length > 0; depth++) {
    seen += level.length;
    if (depth > deepest || seen > mostValues) return true;
    level = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
  }
  return false;
}

function quickly(text: string): unknown {
  if (needsStrictParser(text)) return undefined;
  try {
    const value = Bun.YAML.parse(text) ?? {};
    return isTooDeep(value) ? undefined : value;
  } catch {
    return undefined; // The strict parser says what is wrong.
  }
}

/** What the text says, whatever the files it names are; `file` is named in errors. */
export async function parseManifestText(text: string, file: string): Promise<ParsedManifest> {
  const quick = quickly(text);
  const fast = quick === undefined ? null : manifestSchema.safeParse(quick);
  if (fast?.success) return { ok: true, manifest: manifestOf(fast.data) };
  const raw = await strictly(text, file);
  if ("errors" in raw) return { ok: false, name: null, errors: raw.errors };
  return parseManifestValue(raw.value ?? {}, file, raw.lineOf);
}

/** The same for what a manifest would hold, already read from somewhere else. */
export function parseManifestValue(
  value: unknown,
  file: string,
  lineOf: LineOf = () => null,
): ParsedManifest {
  const name = nameIn(value);
  if (isTooDeep(value)) return { ok: false, name, errors: [tooDeep(file)] };
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return { ok: true, manifest: manifestOf(parsed.data) };
  return { ok: false, name, errors: describeIssues(parsed.error, manifestSchema, value, file, lineOf) };
}

/** Problems with paths as errors with the lines of their keys. */
export async function describePathProblems(
  problems: readonly PathProblem[],
  text: string,
  file: string,
  keyPrefix: readonly string[] = [],
): Promise<string[]> {
  const raw = await strictly(text, file);
  return problems.map(({ key, problem }) => {
    const line = "errors" in raw ? null : raw.lineOf([...keyPrefix, ...key.split(".")]);
    return `${line === null ? file : `${file}:${line}`}: ${key}: ${problem}`;
  });
}

/**
 * Parses and validates the text of `file` (named in errors). `folder` is where the plugin's files lie; null for one
 * inside the executable, whose paths are not checked.
 */
export async function parseManifest(
  text: string,
  file: string,
  folder: string | null,
): Promise<ParsedManifest> {
  const parsed = await parseManifestText(text, file);
  if (!parsed.ok || folder === null) return parsed;
  const problems = pathProblems(parsed.manifest, { folder, lookup: null });
  if (problems.length === 0) return parsed;
  return {
    ok: false,
    name: parsed.manifest.name,
    errors: await describePathProblems(problems, text, file),
  };
}

function nameIn(value: unknown): string | null {
  const name = typeof value === "object" && value !== null ? (value as { name?: unknown }).name : null;
  return typeof name === "string" && /^[a-z][a-z0-9-]{0,63}$/.test(name) ? name : null;
}

function manifestOf(fields: ManifestFields): Manifest {
  const { runtime, entry, command, protocol, platform, start, health, limits, ...rest } = fields;
  const how: Runtime =
    runtime === "bun"
      ? { runtime, entry: entry ?? "index.ts" }
      : { runtime, command: command ?? [], protocol: protocol ?? "jsonrpc" };
  return Object.freeze({
    ...rest,
    ...how,
    platform: platform ?? fields.name,
    start: start ?? "eager",
    health: healthOf(fields),
    limits: {
      memoryBytes: limits.memory ?? null,
      cpuCores: limits.cpu ?? null,
      processes: limits.processes,
      openFiles: limits.openFiles,
      concurrency: limits.concurrency,
      queue: limits.queue,
      logBytesPerSecond: limits.logRate,
      requestTimeoutMs: limits.requestTimeout,
    },
  });
}

/** The schema has made sure that what a kind needs is there. */
function healthOf({ health, protocol }: ManifestFields): HealthCheck {
  const kind = health.kind ?? (protocol === "none" ? "none" : "call");
  if (kind === "http") return { kind, port: health.port ?? 0, path: health.path ?? "/" };
  if (kind === "tcp") return { kind, port: health.port ?? 0 };
  if (kind === "exec") return { kind, command: health.command ?? [] };
  return { kind };
}
