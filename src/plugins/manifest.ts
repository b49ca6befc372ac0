/** `plugin.yaml` to a typed manifest, or every reason why not. */

import { describeIssues, type LineOf } from "../config/issues.ts";
import { needsStrictParser } from "./duplicate-keys.ts";
import { commandProblem, entryProblem } from "./folder-paths.ts";
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

async function strictly(text: string, file: string): Promise<Raw> {
  // The strict parser is large and slow: it is loaded for what the fast one refuses, to say where the mistake is.
  const { parseYaml } = await import("../config/yaml.ts");
  const parsed = parseYaml(text, file);
  return parsed.ok ? parsed : { errors: parsed.errors };
}

function quickly(text: string): unknown {
  if (needsStrictParser(text)) return undefined;
  try {
    return Bun.YAML.parse(text) ?? {};
  } catch {
    return undefined; // The strict parser says what is wrong.
  }
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
  const quick = quickly(text);
  const fast = quick === undefined ? null : manifestSchema.safeParse(quick);
  if (fast?.success) {
    const problems = pathProblems(fast.data, folder, file);
    if (problems.length === 0) return { ok: true, manifest: manifestOf(fast.data) };
  }
  const raw = await strictly(text, file);
  if ("errors" in raw) return { ok: false, name: null, errors: raw.errors };
  const value = raw.value ?? {};
  const name = nameIn(value);
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success)
    return {
      ok: false,
      name,
      errors: describeIssues(parsed.error, manifestSchema, value, file, raw.lineOf),
    };
  const errors = pathProblems(parsed.data, folder, file, raw.lineOf);
  return errors.length > 0 ? { ok: false, name, errors } : { ok: true, manifest: manifestOf(parsed.data) };
}

function nameIn(value: unknown): string | null {
  const name = typeof value === "object" && value !== null ? (value as { name?: unknown }).name : null;
  return typeof name === "string" && /^[a-z][a-z0-9-]{0,63}$/.test(name) ? name : null;
}

function pathProblems(
  fields: ManifestFields,
  folder: string | null,
  file: string,
  lineOf: LineOf = () => null,
): string[] {
  if (folder === null) return [];
  const found: [string, string | null][] =
    fields.runtime === "bun"
      ? [["entry", entryProblem(fields.entry ?? "index.ts", folder)]]
      : [["command", commandProblem(fields.command?.[0] ?? "", folder)]];
  if (fields.health.command)
    found.push(["health.command", commandProblem(fields.health.command[0] ?? "", folder)]);
  return found.flatMap(([key, problem]) => {
    if (problem === null) return [];
    const line = lineOf(key.split("."));
    return [`${line === null ? file : `${file}:${line}`}: ${key}: ${problem}`];
  });
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
