/** The policy of a shadow in a file of its own: the content of the `scaler` section, or a configuration that has one. */

import { readFileSync } from "node:fs";
import * as z from "zod";
import { describeIssues } from "./issues.ts";
import { type PolicySettings, policySettings, withOrder } from "./scaler-schema.ts";
import { parseYaml } from "./yaml.ts";

/** `raw` is the policy as it was written. */
export type ReadPolicy =
  | { ok: true; settings: PolicySettings; raw: unknown }
  | { ok: false; errors: string[] };

/** Of a configuration the section alone is read: the rest of it is not what decides. */
const configuration = z.object({ scaler: policySettings });

const problems: Record<string, string> = {
  ENOENT: "no such file",
  EISDIR: "is a folder; expected a YAML file with a policy",
  EACCES: "may not be read by this user; change its permissions",
};

/**
 * The policy in the file at `path`; errors call it `name`. Where it names no order, it has `order`. Reads once; a file
 * that cannot be read or understood is an error that says so, line by line.
 */
export function readPolicyFile(path: string, name: string, order: readonly string[]): ReadPolicy {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { ok: false, errors: [`${name}: cannot be read: ${problems[code] ?? code}`] };
  }
  const yaml = parseYaml(text, name);
  if (!yaml.ok) return { ok: false, errors: yaml.errors };
  const written = yaml.value ?? {};
  const section = sectionOf(written);
  const raw = section === null ? written : withoutMode(section);
  const schema = section === null ? policySettings : configuration;
  const parsed = policySettings.safeParse(raw);
  if (parsed.success) return { ok: true, settings: withOrder(parsed.data, order), raw };
  const issues = parsed.error.issues.map((issue) =>
    section === null ? issue : { ...issue, path: ["scaler", ...issue.path] },
  );
  return { ok: false, errors: describeIssues(new z.ZodError(issues), schema, written, name, yaml.lineOf) };
}

/** Null: the file is no configuration, but the content of the section. */
function sectionOf(written: unknown): unknown {
  if (typeof written !== "object" || written === null || !("scaler" in written)) return null;
  return written.scaler ?? {};
}

/** Whether the policy acts there says nothing about it. */
function withoutMode(section: unknown): unknown {
  if (typeof section !== "object" || section === null || Array.isArray(section)) return section;
  const { mode: _, ...policy } = section as Record<string, unknown>;
  return policy;
}
