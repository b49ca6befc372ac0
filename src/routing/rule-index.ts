/**
 * Which rules can match a request at all. A rule that wants one of some values at a place (`platform: discord`,
 * `payload.guild: [1, 2]`) is filed under these values, and is looked at only for requests that have one of them there:
 * of a thousand rules for a thousand guilds, one. The others are looked at for every request.
 */

import { type Condition, formatSubject, type Scalar, type Subject } from "../config/route-rule.ts";
import { type RuledRequest, valueAt } from "./rule-subject.ts";

/** Places under which rules are filed; each is read once a request. */
const mostPlaces = 8;

/** What a request must have at one place for a rule to match. */
interface Need {
  place: string;
  subject: Subject;
  values: readonly Scalar[];
}

interface Place {
  subject: Subject;
  /** Numbers of rules, ascending. */
  rules: Map<unknown, number[]>;
}

export class RuleIndex {
  readonly #places: readonly Place[];
  /** Rules that are filed nowhere, ascending. */
  readonly #always: readonly number[];

  /** The conditions of the rules, in their order. */
  constructor(conditions: readonly Condition[]) {
    const needs = conditions.map(needsOf);
    const ranked = rankedPlaces(needs.flat());
    const places = new Map<string, Place>();
    const always: number[] = [];
    for (const [rule, wanted] of needs.entries()) {
      const [need] = wanted
        .filter(({ place }) => ranked.has(place))
        .sort((a, b) => (ranked.get(a.place) ?? 0) - (ranked.get(b.place) ?? 0));
      if (need) file(places, need, rule);
      else always.push(rule);
    }
    this.#places = [...places.values()];
    this.#always = always;
  }

  /** Number of the first rule for which `matches` says so, asked in their order; -1: none. */
  first(request: RuledRequest, matches: (rule: number) => boolean): number {
    const lists = [this.#always];
    for (const { subject, rules } of this.#places) {
      const list = rules.get(valueAt(subject, request));
      if (list) lists.push(list);
    }
    return lists.length === 1 ? (this.#always.find(matches) ?? -1) : firstOf(lists, matches);
  }
}

/** The lists are gone through together: always the smallest number that is left. */
function firstOf(lists: readonly (readonly number[])[], matches: (rule: number) => boolean): number {
  const at = lists.map(() => 0);
  for (;;) {
    let from = -1;
    let smallest = Infinity;
    for (let list = 0; list < lists.length; list++) {
      const rule = lists[list]?.[at[list] ?? 0] ?? Infinity;
      if (rule < smallest) [from, smallest] = [list, rule];
    }
    if (from < 0) return -1;
    if (matches(smallest)) return smallest;
    at[from] = (at[from] ?? 0) + 1;
  }
}

function file(places: Map<string, Place>, { place, subject, values }: Need, rule: number): void {
  const found = places.get(place) ?? { subject, rules: new Map() };
  places.set(place, found);
  for (const value of new Set(values)) {
    const rules = found.rules.get(value) ?? [];
    rules.push(rule);
    found.rules.set(value, rules);
  }
}

/** The places with the most different values, which tell rules apart best, by their rank. */
function rankedPlaces(needs: readonly Need[]): Map<string, number> {
  const values = new Map<string, Set<Scalar>>();
  for (const need of needs) {
    const known = values.get(need.place) ?? new Set();
    for (const value of need.values) known.add(value);
    values.set(need.place, known);
  }
  const ranked = [...values].sort(([, a], [, b]) => b.size - a.size).slice(0, mostPlaces);
  return new Map(ranked.map(([place], rank) => [place, rank]));
}

/** What must hold in any case: the tests for values outside of any and not. */
function needsOf(condition: Condition): Need[] {
  if (condition.kind === "all") return condition.of.flatMap(needsOf);
  if (condition.kind !== "test") return [];
  const { subject, test } = condition;
  const place = formatSubject(subject);
  if (test.op === "equals") return [{ place, subject, values: [test.value] }];
  return test.op === "in" ? [{ place, subject, values: test.values }] : [];
}
