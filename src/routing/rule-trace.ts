/** Why a rule matches a request or not, in words: for a person who writes rules, not for the way of a request. */

import { type Condition, type FieldTest, formatSubject, type RouteRule } from "../config/route-rule.ts";
import { type RuledRequest, valueAt } from "./rule-subject.ts";
import { compileTest } from "./rules.ts";
import { shownValue } from "./shown-value.ts";

export interface RuleTrace {
  rule: string;
  matched: boolean;
  /** The tests that decided it, each with the value it saw. Values are cut and escaped. */
  because: string[];
}

/** Values of a list that are named. */
const mostNamed = 5;
/** Tests that are told of one rule. */
const mostTold = 16;

/** The rules up to the one that matches, that one included; all of them when none does. */
export function traceRules(rules: readonly RouteRule[], request: RuledRequest): RuleTrace[] {
  const traces: RuleTrace[] = [];
  for (const { name, when } of rules) {
    const { holds, because } = trace(when, request);
    const told = because.slice(0, mostTold);
    if (because.length > mostTold) told.push(`${because.length - mostTold} tests more`);
    traces.push({ rule: name, matched: holds, because: told.length > 0 ? told : ["it has no condition"] });
    if (holds) break;
  }
  return traces;
}

interface Verdict {
  holds: boolean;
  because: string[];
}

/** Tests are compiled with the first request that meets them. */
const compiled = new WeakMap<FieldTest, ReturnType<typeof compileTest>>();

function compiledTest(test: FieldTest): ReturnType<typeof compileTest> {
  const known = compiled.get(test) ?? compileTest(test);
  compiled.set(test, known);
  return known;
}

function trace(condition: Condition, request: RuledRequest): Verdict {
  if (condition.kind === "test") {
    const value = valueAt(condition.subject, request);
    const holds = compiledTest(condition.test)(value);
    const seen = `${formatSubject(condition.subject)} is ${shownValue(value)}`;
    const { op } = condition.test;
    const told = expectation(condition.test);
    // What is equal, there or missing is said by the value itself.
    const agreed = op === "equals" || op === "exists" ? seen : `${seen}, ${told}`;
    return { holds, because: [holds ? agreed : `${seen}, expected ${told}`] };
  }
  if (condition.kind === "not") {
    const inner = trace(condition.of, request);
    return { holds: !inner.holds, because: inner.because.map((each) => `not (${each})`) };
  }
  // Looked at no further than the live rules do: until the first that decides.
  const decisive = condition.kind === "any";
  const because: string[] = [];
  for (const each of condition.of) {
    const inner = trace(each, request);
    if (inner.holds === decisive) return inner;
    because.push(...inner.because);
  }
  return { holds: !decisive, because };
}

function expectation(test: FieldTest): string {
  if (test.op === "equals") return shownValue(test.value);
  if (test.op === "prefix") return `beginning with ${shownValue(test.value)}`;
  if (test.op === "regex") return `matching ${shownValue(test.pattern)}`;
  if (test.op === "exists") return test.value ? "present" : "missing";
  const named = test.values.slice(0, mostNamed).map(shownValue).join(", ");
  const more = test.values.length - mostNamed;
  return `one of ${named}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A condition in words: `platform "discord" and payload.command beginning with "!"`. */
export function describeCondition(condition: Condition): string {
  if (condition.kind === "test") return `${formatSubject(condition.subject)} ${expectation(condition.test)}`;
  if (condition.kind === "not") return `not (${describeCondition(condition.of)})`;
  if (condition.of.length === 0) return "every request";
  const joined = condition.of.map((each) =>
    each.kind === "any" && each.of.length > 1 && condition.kind === "all"
      ? `(${describeCondition(each)})`
      : each.kind === "all" && each.of.length > 1 && condition.kind === "any"
        ? `(${describeCondition(each)})`
        : describeCondition(each),
  );
  return joined.join(condition.kind === "all" ? " and " : " or ");
}
