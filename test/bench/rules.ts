/**
 * What it costs to find the rule for a request: 10, 100 and 1,000 rules on platform, type, a header and two fields of the
 * payload; the first, the last, or none matches. The same for rules that want no value anywhere, only a prefix, and are
 * all looked at. And one regex on 4,096 characters. Medians over rounds, nanoseconds a decision.
 *
 *   bun test/bench/rules.ts [-o json]
 */
import { parseArgs } from "node:util";
import { configSchema } from "../../src/config/schema.ts";
import type { RuledRequest } from "../../src/routing/rule-subject.ts";
import { compileRules, type RouteRules } from "../../src/routing/rules.ts";

/** A tenth of what the router may add to a request at p99. */
export const aimNs = 100_000;

export interface RulesTiming {
  scenario: string;
  rules: number;
  medianNs: number;
  slowestRoundNs: number;
}

const rounds = 30;
const roundNs = 5_000_000;

const asked: RuledRequest = {
  platform: "discord",
  type: "message",
  headers: { "x-tenant": "gold" },
  payload: { command: "!ping", user: { id: "ann", roles: ["admin"] }, text: "hello there" },
};

/** As a person writes them; `level` tells the one that matches. */
const written = (count: number, matching: number) =>
  Array.from({ length: count }, (_, index) => ({
    when: {
      platform: "discord",
      type: ["message", "edit"],
      "header.x-tenant": "gold",
      "payload.command": { prefix: "!" },
      "payload.user.id": index === matching ? "ann" : `user-${index}`,
    },
    to: "discord",
  }));

/** Nothing in them can be looked up: each is asked. */
const prefixes = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    when: { "payload.command": { prefix: `!command-${index}` } },
    to: "discord",
  }));

const compiled = (rules: unknown[]): RouteRules =>
  compileRules(configSchema.parse({ routing: { rules } }).routing.rules);

function measure(scenario: string, rules: number, decide: () => unknown): RulesTiming {
  const timed = (calls: number): number => {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) decide();
    return (Bun.nanoseconds() - begin) / calls;
  };
  const calls = Math.max(1, Math.min(50_000, Math.floor(roundNs / timed(20))));
  timed(calls);
  const times = Array.from({ length: rounds }, () => timed(calls)).sort((a, b) => a - b);
  return {
    scenario,
    rules,
    medianNs: times[Math.floor(rounds / 2)] ?? Number.NaN,
    slowestRoundNs: times.at(-1) ?? Number.NaN,
  };
}

/** A decision that is not the expected one is a bug, and no measurement. */
function deciding(rules: RouteRules, expected: string | null, request = asked): () => void {
  return () => {
    const rule = rules.decide(request)?.rule ?? null;
    if (rule !== expected) throw new Error(`expected ${expected}, decided ${rule}`);
  };
}

export function benchRules(): RulesTiming[] {
  const timings: RulesTiming[] = [];
  for (const count of [10, 100, 1_000]) {
    const cases: [string, number][] = [
      ["first", 0],
      ["last", count - 1],
      ["none", -1],
    ];
    for (const [scenario, matching] of cases) {
      const expected = matching < 0 ? null : `rule ${matching + 1}`;
      timings.push(
        measure(`${scenario} matches`, count, deciding(compiled(written(count, matching)), expected)),
      );
    }
    const elsewhere = { ...asked, platform: "voice" };
    const rules = compiled(written(count, -1));
    timings.push(measure("other platform", count, deciding(rules, null, elsewhere)));
    timings.push(measure("none of the prefixes", count, deciding(compiled(prefixes(count)), null)));
  }
  return [...timings, ...benchRegexes()];
}

/** Each text is another one, without a period: an automaton that was built for one of them does not fit the next. */
function benchRegexes(): RulesTiming[] {
  let state = 1;
  const letter = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 31 ? "a" : "b";
  };
  const requests = Array.from({ length: 256 }, () => ({
    ...asked,
    payload: { text: Array.from({ length: 4_096 }, letter).join("") },
  }));
  const regexes = ["(?i)\\b(help|hello)\\b", "^((a|b)+)+$", "[ab]*a[ab]{20}[^ab]", "[ab]*a[ab]{190}[^ab]"];
  return regexes.map((regex) => {
    const rules = compiled([{ when: { "payload.text": { regex } }, to: "x" }]);
    let turn = 0;
    return measure(`regex ${regex} on 4,096 characters`, 1, () =>
      rules.decide(requests[turn++ % requests.length] ?? asked),
    );
  });
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
  const timings = benchRules();
  if (values.output === "json") console.log(JSON.stringify({ aimNs, timings }));
  else
    for (const { scenario, rules, medianNs, slowestRoundNs } of timings)
      console.log(
        `${scenario.padEnd(50)} ${String(rules).padStart(5)} rules ${medianNs.toFixed(0).padStart(8)} ns (slowest round ${slowestRoundNs.toFixed(0)})`,
      );
}
