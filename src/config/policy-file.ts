/** A policy in a file of its own: the content of the `scaler` section, or a whole configuration. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type * as z from "zod";
import { describeIssues } from "./issues.ts";
import { ConfigError } from "./load.ts";
import { scaler } from "./scaler-schema.ts";
import { type Config, configSchema } from "./schema.ts";
import { parseYaml } from "./yaml.ts";

export interface LoadedPolicy {
  /** The file, or the name of the policy that was asked for by name. */
  name: string;
  /** What a decision depends on beside the host. */
  settings: Pick<Config, "scaler" | "forecast" | "monitor" | "plugins">;
}

/** Policies that need no file. */
export const namedPolicies = ["mission", "adaptive"] as const;

/** The policy of that name with everything else at its default. */
export const namedPolicy = (policy: (typeof namedPolicies)[number]): LoadedPolicy => ({
  name: policy,
  settings: configSchema.parse({ scaler: { policy } }),
});

/** A policy by its file, relative to `folder`, or by its name where there is no such file. Throws ConfigError. */
export function loadPolicy(file: string, folder: string): LoadedPolicy {
  const text = readText(file, folder);
  if (typeof text !== "string") return text;
  const yaml = parseYaml(text, file);
  if (!yaml.ok) throw new ConfigError(yaml.errors);
  const raw = yaml.value ?? {};
  const whole = isWhole(raw);
  const schema: z.ZodType = whole ? configSchema : scaler;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) throw new ConfigError(describeIssues(parsed.error, schema, raw, file, yaml.lineOf));
  return { name: file, settings: configSchema.parse(whole ? raw : { scaler: raw }) };
}

function readText(file: string, folder: string): string | LoadedPolicy {
  try {
    return readFileSync(resolve(folder, file), "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const named = namedPolicies.find((name) => name === file);
    if (code === "ENOENT" && named) return namedPolicy(named);
    const names = namedPolicies.join(" and ");
    const problem: Record<string, string> = {
      ENOENT: `no such file; expected a YAML file with a policy, and ${names} need none`,
      EISDIR: "is a folder; expected a YAML file with a policy",
      EACCES: "may not be read by this user; change its permissions",
    };
    throw new ConfigError([`${file}: ${problem[code] ?? `cannot be read (${code})`}`]);
  }
}

/** The sections of a configuration and the keys of a policy have no name in common. */
function isWhole(raw: unknown): boolean {
  if (typeof raw !== "object" || raw === null) return false;
  return Object.keys(raw).some((key) => Object.hasOwn(configSchema.shape, key));
}
