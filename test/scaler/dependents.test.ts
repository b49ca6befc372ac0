import { expect, test } from "bun:test";
import { dependentsFirst, listed, withRequirements } from "../../src/scaler/dependents.ts";
import type { PluginFacts } from "../../src/scaler/situation.ts";

const plugin = (name: string, ...requires: string[]): PluginFacts => ({
  name,
  state: "running",
  footprintBytes: 1,
  learnedBytes: 1,
  requires,
});
const names = (plugins: Iterable<PluginFacts>) => [...plugins].map(({ name }) => name);
const pick = (plugins: readonly PluginFacts[], name: string): PluginFacts => {
  const found = plugins.find((each) => each.name === name);
  if (!found) throw new Error(`no plugin ${name}`);
  return found;
};

//   a -> b -> d      c -> d      e
const diamond = [plugin("a", "b"), plugin("b", "d"), plugin("c", "d"), plugin("d"), plugin("e")];

test("what a plugin requires is found through others, and what is not there is left out", () => {
  expect(names(withRequirements(pick(diamond, "a"), diamond))).toEqual(["a", "b", "d"]);
  expect(names(withRequirements(pick(diamond, "e"), diamond))).toEqual(["e"]);
  const lone = [plugin("a", "missing")];
  expect(names(withRequirements(pick(lone, "a"), lone))).toEqual(["a"]);
});

test("each comes after all that require it, else in the given order", () => {
  expect(names(dependentsFirst([pick(diamond, "d")], diamond))).toEqual(["a", "b", "c", "d"]);
  expect(names(dependentsFirst([pick(diamond, "b")], diamond))).toEqual(["a", "b"]);
  const reversed = diamond.toReversed();
  expect(names(dependentsFirst(reversed, reversed))).toEqual(["e", "c", "a", "b", "d"]);
});

test("a circle ends, and names each once", () => {
  const circle = [plugin("a", "b"), plugin("b", "c"), plugin("c", "a")];
  expect(names(withRequirements(pick(circle, "a"), circle))).toEqual(["a", "b", "c"]);
  expect(names(dependentsFirst(circle, circle)).sort()).toEqual(["a", "b", "c"]);
});

test("a chain of a thousand is sorted", () => {
  const chain = Array.from({ length: 1_000 }, (_, index) => plugin(`p${index}`, `p${index - 1}`));
  const sorted = names(dependentsFirst([pick(chain, "p0")], chain));
  expect(sorted).toEqual(chain.map(({ name }) => name).toReversed());
});

test("names read as a sentence, and of many only the number", () => {
  const some = (count: number) => Array.from({ length: count }, (_, index) => plugin(`p${index}`));
  expect([0, 1, 2, 3].map((count) => listed(some(count)))).toEqual(["", "p0", "p0 and p1", "p0, p1 and p2"]);
  expect(listed(some(20))).toBe("p0, p1, p2, p3, p4, p5, p6, p7 and 12 more");
});
