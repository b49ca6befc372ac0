/** Rules on requests: which condition holds for what, and for what a client may send to confuse it. */

import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import type { RuledRequest } from "../../src/routing/rule-subject.ts";
import { traceRules } from "../../src/routing/rule-trace.ts";
import { compileRules } from "../../src/routing/rules.ts";
import { shownValue } from "../../src/routing/shown-value.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { hostilePayloads } from "./payload-corpus.ts";

type Written = Record<string, unknown>;

/** As they are read from a file. */
const rulesOf = (...rules: Written[]) => configSchema.parse({ routing: { rules } }).routing.rules;

const request = (payload: unknown, more: Partial<RuledRequest> = {}): RuledRequest => ({
  platform: "discord",
  payload: payload as Json,
  ...more,
});

/** Whether one condition holds; the trace must say the same as the compiled rule. */
function holds(when: Written, asked: RuledRequest): boolean {
  const rules = rulesOf({ when, to: "x" });
  const matched = compileRules(rules).decide(asked) !== null;
  expect(traceRules(rules, asked)[0]?.matched).toBe(matched);
  return matched;
}

describe("a condition", () => {
  const nested = {
    user: { id: 7, name: "ann", bot: false, gone: null },
    items: ["a", { b: 1 }],
    text: "!ping",
  };
  const table: [Written, boolean][] = [
    [{}, true],
    [{ platform: "discord" }, true],
    [{ platform: "Discord" }, false],
    [{ platform: ["voice", "discord"] }, true],
    [{ type: "message" }, true],
    [{ type: { exists: true } }, true],
    [{ "payload.user.id": 7 }, true],
    [{ "payload.user.id": "7" }, false],
    [{ "payload.user.gone": null }, true],
    [{ "payload.user.gone": { exists: true } }, true],
    [{ "payload.user.none": null }, false],
    [{ "payload.user.none": { exists: false } }, true],
    [{ "payload.user.none": { exists: true } }, false],
    [{ "payload.user.bot": false }, true],
    [{ "payload.user": { exists: true } }, true],
    [{ "payload.items.0": "a" }, true],
    [{ "payload.items.1.b": 1 }, true],
    [{ "payload.items.00": "a" }, false],
    [{ "payload.items.-1": { exists: true } }, false],
    [{ "payload.items.length": { exists: true } }, false],
    [{ "payload.text.length": { exists: true } }, false],
    [{ "payload.text.0": "!" }, false],
    [{ "payload.text": { prefix: "!" } }, true],
    [{ "payload.text": { prefix: "!", equals: "!pong" } }, false],
    [{ "payload.text": { regex: "^!p[io]ng$" } }, true],
    [{ "payload.user.id": { regex: "7" } }, false],
    [{ "payload.user.id": { prefix: "7" } }, false],
    [{ "payload.user.id": [1, 7] }, true],
    [{ "payload.user.id": ["7"] }, false],
    [{ "header.x-tenant": "gold" }, true],
    [{ "header.X-TENANT": { prefix: "go" } }, true],
    [{ "header.x-other": { exists: false } }, true],
    [{ "header.constructor": { exists: true } }, false],
    [{ all: [{ platform: "discord" }, { "payload.user.id": 7 }] }, true],
    [{ all: [{ platform: "discord" }, { "payload.user.id": 8 }] }, false],
    [{ any: [{ platform: "voice" }, { "payload.user.id": 7 }] }, true],
    [{ any: [{ platform: "voice" }, { "payload.user.id": 8 }] }, false],
    [{ not: { platform: "voice" } }, true],
    [{ not: { platform: "discord", "payload.user.id": 8 } }, true],
    [{ platform: "discord", not: { "payload.user.id": 7 } }, false],
  ];
  test.each(table)("%j", (when, expected) => {
    expect(holds(when, request(nested, { headers: { "x-tenant": "gold" } }))).toBe(expected);
  });
});

describe("the first rule that matches decides", () => {
  const rules = rulesOf(
    { name: "bots", when: { "payload.bot": true }, to: "stubs", fallback: [], idempotent: true },
    {
      name: "users",
      when: { "payload.user": { exists: true } },
      to: "voice",
      balance: { hash: "payload.user" },
    },
    { name: "turns", when: { type: "turn" }, to: "voice", fallback: ["stubs"], balance: "round-robin" },
  );
  const compiled = compileRules(rules);

  test("with its name, target, chain, and how a process is chosen", () => {
    expect(compiled.decide(request({ bot: true, user: 1 }))).toEqual({
      rule: "bots",
      to: "stubs",
      fallback: [],
      idempotent: true,
      choice: { balance: "least-busy" },
    });
    expect(compiled.decide(request({}, { type: "turn" }))).toMatchObject({
      rule: "turns",
      fallback: ["stubs"],
      choice: { balance: "round-robin" },
    });
    expect(compiled.decide(request({}))).toBeNull();
  });

  test("and the number 1, the text 1 and true are three conversations; what is none goes to the least busy", () => {
    const choice = (user: unknown) => compiled.decide(request({ user }))?.choice;
    expect([1, "1", true].map(choice)).toEqual([
      { balance: "hash", key: "number 1" },
      { balance: "hash", key: "text 1" },
      { balance: "hash", key: "boolean true" },
    ]);
    for (const none of [null, {}, [1]]) expect(choice(none)).toEqual({ balance: "least-busy" });
    expect(choice("x".repeat(2 ** 20))?.key).toHaveLength("text ".length + 1_024);
  });

  test("only the headers that rules name are wanted", () => {
    expect(compiled.headerNames).toEqual([]);
    const named = rulesOf(
      { when: { any: [{ not: { "header.X-A": "1" } }, { "header.x-a": "2" }] }, to: "a" },
      { to: "b", balance: { hash: "header.X-User" } },
    );
    expect(compileRules(named).headerNames).toEqual(["x-a", "x-user"]);
  });
});

describe("what a client may send to confuse it", () => {
  /** Name of the payload, condition, whether it holds. */
  const table: [string, Written, boolean][] = [
    ["own __proto__", { "payload.command": { exists: true } }, false],
    ["own __proto__", { "payload.admin": true }, false],
    ["own __proto__", { "payload.__proto__.command": "!ping" }, true],
    ["own __proto__ that is a text", { "payload.__proto__": "!ping" }, true],
    ["null", { "payload.__proto__": { exists: true } }, false],
    ["own hasOwnProperty", { "payload.command": "!ping" }, true],
    ["own constructor", { "payload.constructor.prototype.command": "!ping" }, true],
    ["own hasOwnProperty", { "payload.constructor": { exists: true } }, false],
    ["own hasOwnProperty", { "payload.toString": { exists: true } }, false],
    ["own toString and valueOf", { "payload.command": { prefix: "!" } }, false],
    ["a list in place of the object", { "payload.command": { exists: true } }, false],
    ["a list in place of the object", { "payload.constructor": { exists: true } }, false],
    ["a list in place of the text", { "payload.command": { prefix: "!" } }, false],
    ["a list in place of the text", { "payload.command": "!ping" }, false],
    ["an object in place of the text", { "payload.command": { regex: "!" } }, false],
    ["a key twice, the last counts", { "payload.command": { prefix: "!" } }, false],
    ["a key twice, the last counts", { "payload.command": "plain" }, true],
    ["127 objects, one in the other", { [`payload${".command".repeat(16)}`]: { exists: true } }, true],
    ["127 lists, one in the other", { [`payload${".0".repeat(16)}`]: { exists: true } }, true],
    ["a text of 1 MB", { payload: { regex: "^a+$" } }, true],
    ["a text of 1 MB", { payload: { regex: "b" } }, false],
    ["a command of 1 MB", { "payload.command": { prefix: "!a" } }, true],
    ["a number beyond the largest", { payload: { exists: true } }, true],
    ["a number of 1,000 digits", { payload: 1 }, false],
    ["minus zero", { payload: 0 }, true],
    ["a lone high surrogate", { "payload.command": { regex: "^!" } }, true],
    ["a lone high surrogate", { "payload.command": { prefix: "!\ud800" } }, true],
    ["an empty key", { payload: { exists: true } }, true],
    ["keys with dots", { "payload.user.id": 2 }, true],
    ["keys with dots", { "payload.user\\.id": 1 }, true],
    ["a key that is a number", { "payload.items.0": 1 }, true],
  ];
  test.each(table)("%s: %j", (name, when, expected) => {
    expect(holds(when, request(JSON.parse(hostilePayloads[name] ?? "")))).toBe(expected);
  });

  const every: Written[] = [
    { "payload.command": { prefix: "!", regex: "ping" } },
    { "payload.user.id": [1, "a", null] },
    { any: [{ "payload.0": { exists: true } }, { payload: { regex: "." } }] },
    { not: { "payload.__proto__.constructor": { exists: true } } },
  ];
  test.each(Object.keys(hostilePayloads))(
    "%s is looked at by every kind of rule, and told short and harmless",
    (name) => {
      const asked = request(JSON.parse(hostilePayloads[name] ?? ""));
      for (const when of every) holds(when, asked);
      const rules = rulesOf(...every.map((when) => ({ when: { all: [when, { type: "none" }] }, to: "x" })));
      const lines = traceRules(rules, asked).flatMap(({ because }) => because);
      expect(lines.length).toBeGreaterThanOrEqual(rules.length);
      for (const line of lines) {
        expect(line.length).toBeLessThan(600);
        expect(line).not.toMatch(/[\p{C}\u2028\u2029]/u);
      }
      // Nothing was added to what every object has.
      expect(Object.keys(Object.prototype)).toEqual([]);
      expect(({} as Written).command).toBeUndefined();
    },
  );
});

describe("a trace", () => {
  const rules = rulesOf(
    { name: "one", when: { platform: "voice" }, to: "a" },
    { name: "two", when: { "payload.text": { prefix: "!" }, "payload.id": [1, 2, 3, 4, 5, 6, 7] }, to: "a" },
    { name: "three", when: { any: [{ type: "x" }, { "payload.n": { exists: true } }] }, to: "a" },
    { name: "four", when: { not: { "payload.text": { regex: "q" } } }, to: "a" },
    { name: "five", to: "a" },
  );

  test("tells of each earlier rule what failed and what it saw, and ends with the one that matches", () => {
    expect(traceRules(rules, request({ text: "!q", id: "\u001b[31m" }))).toEqual([
      { rule: "one", matched: false, because: ['platform is "discord", expected "voice"'] },
      {
        rule: "two",
        matched: false,
        because: ['payload.id is "\\u001b[31m", expected one of 1, 2, 3, 4, 5 and 2 more'],
      },
      {
        rule: "three",
        matched: false,
        because: ['type is "message", expected "x"', "payload.n is missing, expected present"],
      },
      { rule: "four", matched: false, because: ['not (payload.text is "!q", matching "q")'] },
      { rule: "five", matched: true, because: ["it has no condition"] },
    ]);
  });

  test.each<[unknown, string]>([
    [undefined, "missing"],
    [null, "null"],
    [[1, 2], "a list of 2"],
    [{ a: 1 }, "an object of 1 field"],
    ['say "hi"\\', '"say \\"hi\\"\\\\"'],
    ["\ud800\u{e0001}é😀", '"\\ud800\\u{e0001}é😀"'],
    ["x".repeat(61), `"${"x".repeat(60)}"… (61 characters)`],
  ])("shows %j as %s", (value, shown) => {
    expect(shownValue(value)).toBe(shown);
  });
});
