/** A policy in a file of its own: the keys of `scaler`, without `mode`, at its top. */

import { readFileSync } from "node:fs";
import { describeIssues } from "./issues.ts";
import { type PolicySettings, policySettings, withOrder } from "./scaler-schema.ts";
import { parseYaml } from "./yaml.ts";

/** `raw` is what was written. */
export type ReadPolicy =
  | { ok: true; settings: PolicySettings; raw: unknown }
  | { ok: false; errors: string[] };

/**
 * The policy in the file at `path`; errors call it `name`. Where it names no order, it has `order`. Reads once; a file
 * that cannot be read or understood is an error that says so, line by line.
 */
export function readPolicyFile(path: string, name: string, order: readonly string[]): ReadPolicy {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const problem =
      code === "ENOENT" ? "no such file" : code === "EISDIR" ? "is a folder; expected a YAML file" : code;
    return { ok: false, errors: [`${name}: cannot be read: ${problem}`] };
  }
  const yaml = parseYaml(text, name);
  if (!yaml.ok) return { ok: false, errors: yaml.errors };
  const raw = yaml.value ?? {};
  const parsed = policySettings.safeParse(raw);
  if (parsed.success) return { ok: true, settings: withOrder(parsed.data, order), raw };
  return { ok: false, errors: describeIssues(parsed.error, policySettings, raw, name, yaml.lineOf) };
}
