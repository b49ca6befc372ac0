/** zod's issues as one line each: file, line, key path, value, what is allowed. */

import type * as z from "zod";
import { nearest } from "./nearest.ts";

export type KeyPath = readonly (string | number)[];

/** Where a key stands in its file: 1-based line, or null when that is not known. */
export type LineOf = (path: KeyPath) => number | null;

type Schema = { def?: Record<string, unknown>; shape?: Record<string, Schema> };

/** The schema without its optional, default and transform wrappers. */
function unwrap(schema: Schema | undefined): Schema | undefined {
  let inner = schema;
  for (let depth = 0; inner?.def && depth < 16; depth++) {
    const next = (inner.def.innerType ?? inner.def.in) as Schema | undefined;
    if (!next) return inner;
    inner = next;
  }
  return inner;
}

/** Keys that the object schema at `path` knows; empty when there is none. */
export function knownKeys(schema: z.ZodType, path: KeyPath): string[] {
  let at: Schema | undefined = unwrap(schema as unknown as Schema);
  for (const step of path) {
    const child = typeof step === "string" ? at?.shape?.[step] : undefined;
    at = unwrap(child ?? ((at?.def?.element ?? at?.def?.valueType) as Schema | undefined));
  }
  return Object.keys(at?.shape ?? {});
}

/** `a.b[0].c` */
export function formatPath(path: KeyPath): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : text === "" ? step : `.${step}`;
  return text;
}

function valueAt(raw: unknown, path: KeyPath): unknown {
  let at = raw;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/** A value as an error may show it: JSON, cut at 80 characters; what could be a secret is not shown. */
function shown(value: unknown, path: KeyPath): string {
  if (/token|secret|password|key$/i.test(String(path.at(-1) ?? ""))) return "(hidden)";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

const typeNames: Record<string, string> = {
  object: "a mapping of keys",
  record: "a mapping of keys",
  array: "a list",
  string: "a text",
  boolean: "true or false",
  number: "a number",
  int: "a whole number",
};

function allowed(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input"))
    return `expected ${typeNames[issue.expected] ?? issue.expected}`;
  if (issue.code === "invalid_value") return `expected one of ${issue.values.map(String).join(", ")}`;
  if (issue.message.startsWith("expected")) return issue.message;
  if (issue.code === "too_small") return `expected at least ${issue.minimum}${sizeUnit(issue.origin)}`;
  if (issue.code === "too_big") return `expected at most ${issue.maximum}${sizeUnit(issue.origin)}`;
  return issue.message;
}

const sizeUnit = (origin: string): string =>
  origin === "string" ? " characters" : origin === "array" ? " entries" : "";

/** Most issues told of one file: to find the line of each of ten thousand takes seconds, and nobody reads them. */
const mostDescribed = 50;

/** One line an issue, in the order of the file: `conductor.yaml:3: scaler.shed: 80: expected …`. */
export function describeIssues(
  error: z.ZodError,
  schema: z.ZodType,
  raw: unknown,
  file: string,
  lineOf: LineOf = () => null,
): string[] {
  const described: { line: number; text: string }[] = [];
  let left = 0;
  const add = (path: KeyPath, textOf: () => string) => {
    if (described.length === mostDescribed) {
      left++;
      return;
    }
    const text = textOf();
    const line = lineOf(path);
    const place = line === null ? file : `${file}:${line}`;
    described.push({
      line: line ?? 0,
      text: `${place}: ${path.length ? `${formatPath(path)}: ` : ""}${text}`,
    });
  };
  for (const issue of error.issues) {
    const path = issue.path as KeyPath;
    if (issue.code !== "unrecognized_keys") {
      const written = issue.code === "custom" ? issue.params?.written : undefined;
      add(path, () => `${shown(written ?? valueAt(raw, path), path)}: ${allowed(issue)}`);
      continue;
    }
    const known = knownKeys(schema, path);
    for (const key of issue.keys) {
      add([...path, key], () => {
        const near = nearest(key, known);
        return `unknown key; ${near ? `did you mean "${near}"?` : `known: ${known.join(", ")}`}`;
      });
    }
  }
  const texts = described.sort((a, b) => a.line - b.line).map(({ text }) => text);
  return left === 0 ? texts : [...texts, `${file}: ${left} more of them; correct these first`];
}
