/** File and environment to one frozen configuration, or every reason why not. */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as z from "zod";
import { type Overrides, overridesFrom } from "./env.ts";
import { describeIssues, type LineOf } from "./issues.ts";
import { withOrder } from "./scaler-schema.ts";
import { type Config, configSchema } from "./schema.ts";
import { readPolicyFile } from "./shadow-file.ts";
import { parseYaml } from "./yaml.ts";

export interface ConfigSource {
  /** A file that must exist; null: `conductor.yaml` in `folder` if there is one. */
  file: string | null;
  folder: string;
  environment: Readonly<Record<string, string | undefined>>;
  /** What a person wrote to set a variable, where that was not the variable: `{ CONDUCTOR_HTTP_PORT: "--port" }`. */
  flags?: Readonly<Record<string, string>>;
}

export interface LoadedConfig {
  config: Config;
  /** The file that was read; null when it runs on defaults. */
  file: string | null;
  /** Relative paths in the configuration start here. */
  baseFolder: string;
}

/** Each line names file, key path, value and what is allowed. */
export class ConfigError extends Error {
  readonly code = "config_invalid";

  constructor(readonly lines: readonly string[]) {
    super(lines.join("\n"));
    this.name = "ConfigError";
  }
}

function readText(source: ConfigSource): { text: string; file: string } | null {
  const file = source.file ?? "conductor.yaml";
  try {
    return { text: readFileSync(resolve(source.folder, file), "utf8"), file };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" && source.file === null) return null;
    const remedy =
      code === "ENOENT"
        ? 'no such file; write one with "conductor init" or leave --config out to run on defaults'
        : code === "EISDIR"
          ? "is a folder; expected a YAML file"
          : code === "EACCES"
            ? "may not be read by this user; change its permissions"
            : `cannot be read (${code})`;
    throw new ConfigError([`${file}: ${remedy}`]);
  }
}

function setIn(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = root;
  for (const step of path.slice(0, -1)) {
    const child = at[step];
    const next = typeof child === "object" && child !== null ? { ...child } : {};
    at[step] = next;
    at = next as Record<string, unknown>;
  }
  at[path.at(-1) ?? ""] = value;
}

/** The issues' lines: those of a value that a variable set name the variable, the others the file. */
function linesOf(
  error: z.ZodError,
  raw: unknown,
  file: string,
  lineOf: LineOf,
  overrides: Overrides,
  flags: Readonly<Record<string, string>> = {},
): string[] {
  const byPlace = Map.groupBy(error.issues, ({ path }) => {
    const override = overrides.values.find((each) => each.path.every((step, index) => path[index] === step));
    if (!override) return file;
    return flags[override.variable] ?? `environment: ${override.variable}`;
  });
  return [...byPlace].flatMap(([place, issues]) =>
    describeIssues(new z.ZodError(issues), configSchema, raw, place, place === file ? lineOf : undefined),
  );
}

const frozen = <T>(value: T): T => {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
};

/** The shadows with the policies of their files, and the scaler's order where they name none. Throws ConfigError. */
function withShadows(config: Config, baseFolder: string): Config {
  const errors: string[] = [];
  const { order } = config.scaler;
  const shadow = config.shadow.map((each) => {
    if (each.file === undefined) return { ...each, settings: withOrder(each.settings, order) };
    const read = readPolicyFile(resolve(baseFolder, each.file), each.file, order);
    if (!read.ok) errors.push(...read.errors.map((line) => `shadow ${each.name}: ${line}`));
    return read.ok ? { ...each, settings: read.settings } : each;
  });
  if (errors.length > 0) throw new ConfigError(errors);
  return { ...config, shadow };
}

/** Reads and validates. Throws ConfigError with every problem found at once. */
export function loadConfig(source: ConfigSource): LoadedConfig {
  const read = readText(source);
  const errors: string[] = [];
  let raw: unknown = {};
  let lineOf: LineOf = () => null;
  if (read) {
    const yaml = parseYaml(read.text, read.file);
    if (!yaml.ok) throw new ConfigError(yaml.errors);
    raw = yaml.value ?? {};
    lineOf = yaml.lineOf;
  }
  const overrides = overridesFrom(source.environment);
  errors.push(...overrides.errors);
  if (typeof raw === "object" && raw !== null && !Array.isArray(raw)) {
    raw = { ...raw };
    for (const { path, value } of overrides.values) setIn(raw as Record<string, unknown>, path, value);
  }
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success)
    errors.push(...linesOf(parsed.error, raw, read?.file ?? "defaults", lineOf, overrides, source.flags));
  if (errors.length > 0 || !parsed.success) throw new ConfigError(errors);
  const baseFolder = read ? dirname(resolve(source.folder, read.file)) : source.folder;
  const config = withShadows(parsed.data, baseFolder);
  return { config: frozen(config), file: read?.file ?? null, baseFolder };
}
