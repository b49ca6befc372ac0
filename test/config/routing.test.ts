/** `routing.rules`: what is read, and what is refused with line, key, value and what is allowed. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { formatSubject } from "../../src/config/route-rule.ts";
import { parseSubject } from "../../src/config/route-subject.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "conductor-routing-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const load = (text: string, environment: Record<string, string> = {}) => {
  writeFileSync(join(folder, "c.yaml"), text);
  return loadConfig({ file: "c.yaml", folder, environment }).config.routing.rules;
};

const linesOf = (text: string, environment: Record<string, string> = {}): readonly string[] => {
  try {
    load(text, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
};

/** A configuration with rules, one a line, the first in line 3. */
const withRules = (...rules: string[]) =>
  `routing:\n  rules:\n${rules.map((rule) => `  - ${rule}\n`).join("")}`;

describe("rules", () => {
  test("are none by default", () => {
    expect(load("")).toEqual([]);
    expect(load("routing: {}")).toEqual([]);
  });

  test("have a name, the default fallback, the least busy process; without conditions they match everything", () => {
    expect(load(withRules("{ to: a }"))).toEqual([
      {
        name: "rule 1",
        when: { kind: "all", of: [] },
        to: "a",
        fallback: null,
        idempotent: false,
        balance: { kind: "least-busy" },
      },
    ]);
  });

  test("read a value as equals, a list as in, operators together, all and any and not", () => {
    const [rule] = load(`
routing:
  rules:
    - name: all of it
      when:
        platform: discord
        type: [a, 1, null]
        header.X-Tenant: { prefix: g, regex: "^go" }
        payload.user.id: { exists: true }
        any: [{ payload: true }, { not: { payload.a\\.b: 1.5 } }]
      to: discord
      fallback: []
      idempotent: true
      balance: { hash: payload.user.id }
`);
    const field = (...path: string[]) => ({ kind: "payload", path }) as const;
    const header = { kind: "header", name: "x-tenant" } as const;
    expect(rule).toEqual({
      name: "all of it",
      when: {
        kind: "all",
        of: [
          { kind: "test", subject: { kind: "platform" }, test: { op: "equals", value: "discord" } },
          { kind: "test", subject: { kind: "type" }, test: { op: "in", values: ["a", 1, null] } },
          {
            kind: "all",
            of: [
              { kind: "test", subject: header, test: { op: "prefix", value: "g" } },
              { kind: "test", subject: header, test: { op: "regex", pattern: "^go" } },
            ],
          },
          { kind: "test", subject: field("user", "id"), test: { op: "exists", value: true } },
          {
            kind: "any",
            of: [
              { kind: "test", subject: field(), test: { op: "equals", value: true } },
              {
                kind: "not",
                of: { kind: "test", subject: field("a.b"), test: { op: "equals", value: 1.5 } },
              },
            ],
          },
        ],
      },
      to: "discord",
      fallback: [],
      idempotent: true,
      balance: { kind: "hash", by: field("user", "id") },
    });
  });

  test("may fall back to each other: a rule's chain is not looked at by rules again", () => {
    expect(
      load(withRules("{ when: { type: x }, to: a, fallback: [b] }", "{ to: b, fallback: [a] }")),
    ).toHaveLength(2);
  });
});

test.each([
  "platform",
  "type",
  "header.x-tenant",
  "payload",
  "payload.a.b",
  "payload.a\\.b.c\\\\d",
  "payload.0",
])("the subject %s is written as it is read", (text) => {
  const subject = parseSubject(text);
  expect(typeof subject === "string" ? subject : formatSubject(subject)).toBe(text);
});

describe("what is wrong is told with its line, key, value and what is allowed", () => {
  const subjects = "platform, type, header.NAME, payload or payload.FIELD";
  const deep = `${"{ not: ".repeat(9)}{ type: a }${" }".repeat(9)}`;
  const table: [string, string, string][] = [
    ["no target", "{ when: {} }", ".to: nothing: expected a text"],
    ["a target that is no name", "{ to: Voice }", '.to: "Voice": expected a platform of a-z, 0-9 and -'],
    ["an unknown key", "{ to: a, fallbak: [] }", '.fallbak: unknown key; did you mean "fallback"?'],
    [
      "an unknown subject",
      "{ to: a, when: { tipe: 1 } }",
      `.when.tipe: 1: expected ${subjects}, all, any or not; did you mean "type"?`,
    ],
    ["a header without a name", "{ to: a, when: { header: 1 } }", 'did you mean "header.NAME"?'],
    [
      "a header with a blank",
      '{ to: a, when: { "header.a b": 1 } }',
      "expected the name of a header after header.",
    ],
    [
      "an empty field name",
      "{ to: a, when: { payload.a..b: 1 } }",
      "expected names of 1 to 128 characters between the dots",
    ],
    [
      "a path that is too deep",
      `{ to: a, when: { payload${".a".repeat(17)}: 1 } }`,
      "expected at most 16 fields",
    ],
    [
      "an unknown operator",
      "{ to: a, when: { type: { equal: x } } }",
      '.when.type.equal: "x": expected one of equals, in, prefix, regex, exists; did you mean "equals"?',
    ],
    [
      "no operator",
      "{ to: a, when: { type: {} } }",
      ".when.type: {}: expected a value, a list of values, or one of equals",
    ],
    [
      "a list in equals",
      "{ to: a, when: { type: { equals: [1] } } }",
      "equals: [1]: expected a text, a number, true, false or null",
    ],
    [
      "an infinite number",
      "{ to: a, when: { type: .inf } }",
      "expected a text, a number, true, false or null",
    ],
    ["an empty in", "{ to: a, when: { type: [] } }", "expected a list of 1 to 1000 values"],
    [
      "an empty prefix",
      '{ to: a, when: { type: { prefix: "" } } }',
      "expected a text of 1 to 1024 characters",
    ],
    [
      "exists that is no boolean",
      "{ to: a, when: { type: { exists: yes please } } }",
      "expected true or false",
    ],
    ["an empty any", "{ to: a, when: { any: [] } }", "expected a list of at least one mapping of conditions"],
    [
      "conditions that are no mapping",
      "{ to: a, when: discord }",
      '.when: "discord": expected a mapping of conditions',
    ],
    ["levels without end", `{ to: a, when: ${deep} }`, "expected at most 8 levels of all, any and not"],
    [
      "a balance of another name",
      "{ to: a, balance: fastest }",
      '.balance: "fastest": expected least-busy, power-of-two, round-robin or { hash: payload.FIELD }',
    ],
    [
      "a hash of nothing",
      "{ to: a, balance: { hash: userId } }",
      `.balance.hash: "userId": expected ${subjects}`,
    ],
    ["four fallbacks", "{ to: a, fallback: [b, c, d, e] }", "expected at most 3 entries"],
    [
      "a fallback to the target",
      "{ to: a, fallback: [b, a] }",
      '.fallback[1]: "a": the chain a -> b -> a comes back to a; expected each platform once',
    ],
    [
      "a regex with lookahead",
      '{ to: a, when: { type: { regex: "(?=x)" } } }',
      "expected a pattern in RE2's syntax, without lookaround and backreferences: invalid or unsupported Perl syntax",
    ],
    [
      "a regex with lookbehind",
      '{ to: a, when: { type: { regex: "(?<!x)y" } } }',
      "without lookaround and backreferences",
    ],
    [
      "a regex with a backreference",
      "{ to: a, when: { type: { regex: '(a)\\1' } } }",
      "without lookaround and backreferences: invalid escape sequence",
    ],
    ["a regex that is none", '{ to: a, when: { type: { regex: "(a" } } }', "missing closing )"],
    [
      "a regex that grows",
      "{ to: a, when: { type: { regex: '(a{30}){30}' } } }",
      "expected a smaller pattern: this one has",
    ],
    [
      "a regex that is too long",
      `{ to: a, when: { type: { regex: ${"a".repeat(257)} } } }`,
      "expected a pattern of at most 256 characters",
    ],
  ];
  test.each(table)("%s", (_, rule, expected) => {
    const [line = "", ...others] = linesOf(withRules("{ to: first }", rule));
    expect(others).toEqual([]);
    expect(line).toStartWith("c.yaml:4: routing.rules[1]");
    expect(line).toContain(expected);
  });

  test("a name that stands twice, and too many regexes in all", () => {
    expect(linesOf(withRules("{ name: x, to: a }", "{ name: x, to: b }"))).toEqual([
      'c.yaml:4: routing.rules[1].name: "x": expected another name: it stands twice',
    ]);
    const many = Array.from({ length: 65 }, () => "{ to: a, when: { type: { regex: a } } }");
    expect(linesOf(withRules(...many))).toEqual([
      "c.yaml:2: routing.rules: 65: expected at most 64 regexes in all rules together",
    ]);
  });

  test("more rules and more tests than there may be", () => {
    expect(linesOf(withRules(...Array(1_001).fill("{ to: a }")))[0]).toContain(
      "expected at most 1000 entries",
    );
    const tests = Array.from({ length: 65 }, (_, index) => `payload.f${index}: 1`).join(", ");
    expect(linesOf(withRules(`{ to: a, when: { ${tests} } }`))).toHaveLength(1);
  });

  test("the rules have no variable in the environment", () => {
    expect(linesOf("", { CONDUCTOR_ROUTING_RULES: "a" })[0]).toContain("unknown setting");
  });
});
