/** What holds for all rules and all JSON. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Condition, RouteRule, Subject } from "../../src/config/route-rule.ts";
import { formatSubject } from "../../src/config/route-rule.ts";
import { parseSubject } from "../../src/config/route-subject.ts";
import type { RuledRequest } from "../../src/routing/rule-subject.ts";
import { traceRules } from "../../src/routing/rule-trace.ts";
import { compileRules } from "../../src/routing/rules.ts";
import type { Json } from "../../src/sdk/plugin.ts";

/** Few names and values, so that conditions hold often; those of Object.prototype among them. */
const names = ["a", "b", "0", "__proto__", "constructor", "toString", "length", ""];
const name = fc.constantFrom(...names);
const scalar = fc.constantFrom<(string | number | boolean | null)[]>("x", "!x", "", 0, 1, true, null);

const payload = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    scalar,
    fc.array(tie("json"), { maxLength: 3 }),
    // As JSON.parse makes them: `__proto__` is a field like any other.
    fc
      .array(fc.tuple(name, tie("json")), { maxLength: 4 })
      .map((fields) =>
        JSON.parse(`{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`),
      ),
  ),
})).json;

const subject: fc.Arbitrary<Subject> = fc.oneof(
  fc.constant<Subject>({ kind: "platform" }),
  fc.constant<Subject>({ kind: "type" }),
  name.map((each): Subject => ({ kind: "header", name: each })),
  fc.array(name, { maxLength: 4 }).map((path): Subject => ({ kind: "payload", path })),
);

const condition = fc.letrec<{ any: Condition }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.record({
      kind: fc.constant("test" as const),
      subject,
      test: fc.oneof(
        scalar.map((value) => ({ op: "equals" as const, value })),
        fc.array(scalar, { maxLength: 3 }).map((values) => ({ op: "in" as const, values })),
        fc.constantFrom("!", "x").map((value) => ({ op: "prefix" as const, value })),
        fc.constantFrom("^!", "x$", ".").map((pattern) => ({ op: "regex" as const, pattern })),
        fc.boolean().map((value) => ({ op: "exists" as const, value })),
      ),
    }),
    fc.record({
      kind: fc.constantFrom("all" as const, "any" as const),
      of: fc.array(tie("any"), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("not" as const), of: tie("any") }),
  ),
})).any;

const request: fc.Arbitrary<RuledRequest> = fc.record(
  {
    platform: fc.constantFrom("x", "!x", "other"),
    type: fc.constantFrom("x", "!x"),
    payload: payload as fc.Arbitrary<Json>,
    headers: fc.dictionary(name, fc.constantFrom("x", "!x", "")),
  },
  { requiredKeys: ["platform", "payload"] },
);

const ruleOf = (when: Condition, index: number): RouteRule => ({
  name: `rule ${index + 1}`,
  when,
  to: "a",
  fallback: null,
  idempotent: false,
  balance: { kind: "least-busy" },
});

/** The meaning of a condition, written the slow way: fields are looked up in the list of entries. */
function means(when: Condition, asked: RuledRequest): boolean {
  if (when.kind === "not") return !means(when.of, asked);
  if (when.kind === "all") return when.of.filter((each) => !means(each, asked)).length === 0;
  if (when.kind === "any") return when.of.filter((each) => means(each, asked)).length > 0;
  const values = seen(when.subject, asked);
  const { test: tested } = when;
  if (tested.op === "exists") return values.length === (tested.value ? 1 : 0);
  return values.some((value) => {
    if (tested.op === "equals") return value === tested.value;
    if (tested.op === "in") return tested.values.some((each) => each === value);
    if (typeof value !== "string") return false;
    return tested.op === "prefix"
      ? value.slice(0, tested.value.length) === tested.value
      : new RegExp(tested.pattern).test(value);
  });
}

/** The value in a list, or nothing. */
function seen(of: Subject, { platform, type, payload: whole, headers }: RuledRequest): unknown[] {
  if (of.kind === "platform") return [platform];
  if (of.kind === "type") return [type ?? "message"];
  const at = (value: unknown, step: string): unknown[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => (key === step ? [inner] : []))
      : [];
  if (of.kind === "header") return at(headers ?? {}, of.name);
  return of.path.reduce<unknown[]>((values, step) => values.flatMap((value) => at(value, step)), [whole]);
}

test("a rule matches when its condition means so, and the first of them decides; the trace says the same", () => {
  fc.assert(
    fc.property(fc.array(condition, { maxLength: 16 }), request, (conditions, asked) => {
      const rules = conditions.map(ruleOf);
      const expected = rules.find(({ when }) => means(when, asked))?.name ?? null;
      expect(compileRules(rules).decide(asked)?.rule ?? null).toBe(expected);
      const traces = traceRules(rules, asked);
      expect(traces.find(({ matched }) => matched)?.rule ?? null).toBe(expected);
      expect(traces).toHaveLength(
        expected === null ? rules.length : rules.findIndex((rule) => rule.name === expected) + 1,
      );
      for (const { because } of traces) expect(because.length).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test("a request's headers that no rule names change nothing", () => {
  fc.assert(
    fc.property(condition, request, (when, asked) => {
      const rules = compileRules([ruleOf(when, 0)]);
      const kept = Object.entries(asked.headers ?? {}).filter(([each]) => rules.headerNames.includes(each));
      const fewer = { ...asked, headers: Object.fromEntries(kept) };
      expect(rules.decide(fewer)).toEqual(rules.decide(asked));
    }),
  );
});

test("a field path is read as it is written", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 16 }),
      (path) => {
        expect(parseSubject(formatSubject({ kind: "payload", path }))).toEqual({ kind: "payload", path });
      },
    ),
  );
});
