/** `when` of a rule: from what a person wrote to a condition, or every reason why not, each with its key. */

import type { KeyPath } from "./issues.ts";
import { linearRegex } from "./linear-regex.ts";
import { nearest } from "./nearest.ts";
import type { Condition, FieldTest, Scalar } from "./route-rule.ts";
import { parseSubject, subjectForms } from "./route-subject.ts";

/** `all`, `any` and `not` inside each other. */
const mostLevels = 8;
/** Tests of one rule. */
const mostTests = 64;
const mostValues = 1_000;
const mostTextChars = 1_024;

const operators = ["equals", "in", "prefix", "regex", "exists"] as const;
const scalarForms = "a text, a number, true, false or null";

export interface Wrong {
  path: KeyPath;
  message: string;
}

type Mapping = Record<string, unknown>;

const isMapping = (raw: unknown): raw is Mapping =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw);

const isScalar = (raw: unknown): raw is Scalar =>
  raw === null ||
  typeof raw === "boolean" ||
  (typeof raw === "number" && Number.isFinite(raw)) ||
  (typeof raw === "string" && raw.length <= mostTextChars);

/** All of one when it is one, without a list around it. */
const together = (conditions: readonly Condition[]): Condition =>
  conditions.length === 1 && conditions[0] ? conditions[0] : { kind: "all", of: conditions };

/** Reads conditions and keeps what is wrong with them. */
export class ConditionReader {
  readonly wrong: Wrong[] = [];
  #tests = 0;

  /** A mapping whose every key must hold. */
  read(raw: unknown, path: KeyPath = [], level = 0): Condition {
    if (!isMapping(raw)) return this.#refuse(path, "expected a mapping of conditions");
    if (level > mostLevels)
      return this.#refuse(path, `expected at most ${mostLevels} levels of all, any and not`);
    return together(
      Object.entries(raw).map(([key, value]) => this.#entry(key, value, [...path, key], level)),
    );
  }

  #refuse(path: KeyPath, message: string): Condition {
    this.wrong.push({ path, message });
    return { kind: "all", of: [] };
  }

  #entry(key: string, value: unknown, path: KeyPath, level: number): Condition {
    if (key === "not") return { kind: "not", of: this.read(value, path, level + 1) };
    if (key === "all" || key === "any") {
      if (!Array.isArray(value) || value.length === 0)
        return this.#refuse(path, `expected a list of at least one mapping of conditions`);
      return { kind: key, of: value.map((each, index) => this.read(each, [...path, index], level + 1)) };
    }
    const subject = parseSubject(key);
    if (typeof subject === "string") {
      const near = nearest(key, ["platform", "type", "header", "payload", "all", "any", "not"]);
      const hint = near ? `; did you mean "${near === "header" ? "header.NAME" : near}"?` : "";
      const said = /^(header|payload)\./.test(key) ? subject : `expected ${subjectForms}, all, any or not`;
      return this.#refuse(path, `${said}${hint}`);
    }
    return together(this.#testsOf(value, path).map((test) => ({ kind: "test", subject, test })));
  }

  /** A scalar it must equal, a list it must be in, or a mapping of operators that must all hold. */
  #testsOf(raw: unknown, path: KeyPath): FieldTest[] {
    if (isMapping(raw)) {
      if (Object.keys(raw).length === 0)
        this.#refuse(path, `expected a value, a list of values, or one of ${operators.join(", ")}`);
      return Object.entries(raw).flatMap(([key, value]) => this.#test(key, value, [...path, key]));
    }
    return Array.isArray(raw) ? this.#test("in", raw, path) : this.#test("equals", raw, path);
  }

  #test(operator: string, value: unknown, path: KeyPath): FieldTest[] {
    this.#tests++;
    if (this.#tests > mostTests) {
      if (this.#tests === mostTests + 1)
        this.#refuse(path, `expected at most ${mostTests} tests in one rule`);
      return [];
    }
    const test = fieldTest(operator, value);
    if (typeof test !== "string") return [test];
    this.#refuse(path, test);
    return [];
  }
}

/** The test, or why it is none. */
function fieldTest(operator: string, value: unknown): FieldTest | string {
  if (operator === "equals")
    return isScalar(value)
      ? { op: "equals", value }
      : `expected ${scalarForms}, at most ${mostTextChars} long`;
  if (operator === "in") {
    if (Array.isArray(value) && value.length > 0 && value.length <= mostValues && value.every(isScalar))
      return { op: "in", values: value };
    return `expected a list of 1 to ${mostValues} values, each ${scalarForms}, at most ${mostTextChars} long`;
  }
  if (operator === "exists")
    return typeof value === "boolean" ? { op: "exists", value } : "expected true or false";
  if (operator === "prefix" || operator === "regex") {
    if (typeof value !== "string" || value === "" || value.length > mostTextChars)
      return `expected a text of 1 to ${mostTextChars} characters`;
    if (operator === "prefix") return { op: "prefix", value };
    const regex = linearRegex(value);
    return regex.ok ? { op: "regex", pattern: value } : regex.message;
  }
  const near = nearest(operator, operators);
  return `expected one of ${operators.join(", ")}${near ? `; did you mean "${near}"?` : ""}`;
}
