/** Routing rules, compiled once: from a request to the first rule that matches it. */

import { linearRegex } from "../config/linear-regex.ts";
import type { Balance, Condition, FieldTest, RouteRule, Subject } from "../config/route-rule.ts";
import type { InstanceChoice } from "./dispatcher.ts";
import { RuleIndex } from "./rule-index.ts";
import { type RuledRequest, valueAt } from "./rule-subject.ts";

/** Where a rule sends a request. */
export interface RouteDecision {
  /** Name of the rule. */
  rule: string;
  /** The platform it goes to. */
  to: string;
  /** Platforms that answer in its place; null: as without a rule. */
  fallback: readonly string[] | null;
  /** The request may be sent twice without harm. */
  idempotent: boolean;
  choice: InstanceChoice;
}

export interface RouteRules {
  readonly count: number;
  /** Headers that some rule names, in lower case: all that need be kept of a request's. */
  readonly headerNames: readonly string[];
  /** Null: no rule matches. */
  decide(request: RuledRequest): RouteDecision | null;
}

type Predicate = (request: RuledRequest) => boolean;

/** Characters of a key that tell one conversation from another. */
const mostKeyChars = 1_024;

export function compileRules(rules: readonly RouteRule[]): RouteRules {
  const index = new RuleIndex(rules.map(({ when }) => when));
  const compiled = rules.map((rule) => {
    const { when, balance, name, to, fallback, idempotent } = rule;
    return { matches: compileCondition(when), balance, decided: { rule: name, to, fallback, idempotent } };
  });
  return {
    count: rules.length,
    headerNames: [...new Set(rules.flatMap(subjectsOf).flatMap(headerNameOf))],
    decide: (request) => {
      const found = compiled[index.first(request, (rule) => compiled[rule]?.matches(request) === true)];
      return found ? { ...found.decided, choice: choiceOf(found.balance, request) } : null;
    },
  };
}

/** Whether a condition holds for a request. */
export function compileCondition(condition: Condition): Predicate {
  if (condition.kind === "test") {
    const { subject } = condition;
    const holds = compileTest(condition.test);
    return (request) => holds(valueAt(subject, request));
  }
  if (condition.kind === "not") {
    const inner = compileCondition(condition.of);
    return (request) => !inner(request);
  }
  const inner = condition.of.map(compileCondition);
  const decisive = condition.kind === "any";
  return (request) => {
    for (const holds of inner) if (holds(request) === decisive) return decisive;
    return !decisive;
  };
}

/** Whether a test holds for the value of its subject; undefined: there is none. */
export function compileTest(test: FieldTest): (value: unknown) => boolean {
  if (test.op === "equals") return (value) => value === test.value;
  if (test.op === "exists") return (value) => (value !== undefined) === test.value;
  if (test.op === "prefix") return (value) => typeof value === "string" && value.startsWith(test.value);
  if (test.op === "in") {
    const values = new Set<unknown>(test.values);
    return (value) => values.has(value);
  }
  const regex = linearRegex(test.pattern);
  // The configuration holds only patterns that were read before.
  if (!regex.ok) throw new Error(`regex ${JSON.stringify(test.pattern)}: ${regex.message}`);
  return (value) => typeof value === "string" && regex.test(value);
}

function choiceOf(balance: Balance, request: RuledRequest): InstanceChoice {
  if (balance.kind !== "hash") return { balance: balance.kind };
  const key = keyOf(valueAt(balance.by, request));
  return key === null ? { balance: "least-busy" } : { balance: "hash", key };
}

/** The number 1 and the text "1" are two conversations; null when the value is none to tell them apart by. */
function keyOf(value: unknown): string | null {
  if (typeof value === "string") return `text ${value.slice(0, mostKeyChars)}`;
  if (typeof value === "number" || typeof value === "boolean") return `${typeof value} ${value}`;
  return null;
}

const headerNameOf = (subject: Subject): string[] => (subject.kind === "header" ? [subject.name] : []);

function subjectsOf({ when, balance }: RouteRule): Subject[] {
  const inside = (condition: Condition): Subject[] => {
    if (condition.kind === "test") return [condition.subject];
    return condition.kind === "not" ? inside(condition.of) : condition.of.flatMap(inside);
  };
  return [...inside(when), ...(balance.kind === "hash" ? [balance.by] : [])];
}
