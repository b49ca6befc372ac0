/** Regexes whose time is bounded by the text, whatever the pattern. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { linearRegex, mostMatchedChars } from "../../src/config/linear-regex.ts";

const matches = (pattern: string, text: string): boolean => {
  const regex = linearRegex(pattern);
  if (!regex.ok) throw new Error(regex.message);
  return regex.test(text);
};

test("finds the pattern anywhere, as RegExp does", () => {
  const table: [string, string][] = [
    ["order-\\d+", "my order-12 please"],
    ["^order", "my order"],
    ["^$", ""],
    ["(?i)hello\\b", "say HELLO, world"],
    ["^[^a-z]+$", "123 ÄÖÜ"],
    ["\\bcat\\b", "concatenate"],
    ["^.$", "😀"],
    ["^(?:a|ab)(?:c|bcd)$", "abcd"],
  ];
  for (const [pattern, text] of table) {
    const insensitive = pattern.startsWith("(?i)");
    const native = new RegExp(pattern.replace("(?i)", ""), insensitive ? "iu" : "u");
    expect([pattern, matches(pattern, text)]).toEqual([pattern, native.test(text)]);
  }
});

test("agrees with RegExp on any text, and throws at none", () => {
  const patterns = [
    "^.$",
    "[^a]b?",
    "\\bA\\w+",
    "(?:a|b)+c{1,2}$",
    "^\\s*!",
    "\\p{L}\\d",
    "[\\x00-\\x1f]",
    ".{3}",
  ];
  const character = fc.oneof(
    fc.constantFrom(..."abcA!1 \n\u0000é😀"),
    fc.nat(0xffff).map((unit) => String.fromCharCode(unit)),
  );
  const text = fc.array(character, { maxLength: 12 }).map((characters) => characters.join(""));
  fc.assert(
    fc.property(fc.constantFrom(...patterns), text, (pattern, each) => {
      const matched = matches(pattern, each);
      // Halves of characters are no text to RE2, and one each to RegExp; and to RegExp more than \n ends a line.
      if (each.isWellFormed() && !/[\r\u2028\u2029]/.test(each))
        expect(matched).toBe(new RegExp(pattern, "u").test(each));
    }),
    { numRuns: 3_000 },
  );
});

test("takes any text: halves of characters, controls, nothing", () => {
  for (const text of ["\ud800", "\udc00\ud800", "\u0000", "", "\uffff"])
    expect(matches("^needle$", text)).toBe(false);
  // The cut may fall into a character.
  expect(matches("^a*", `${"a".repeat(mostMatchedChars - 1)}😀`)).toBe(true);
});

test("looks at the first 4,096 characters", () => {
  expect(matches("x", `${"a".repeat(mostMatchedChars - 1)}x`)).toBe(true);
  expect(matches("x", `${"a".repeat(mostMatchedChars)}x`)).toBe(false);
});

/** Each takes a backtracking engine longer than the universe has been there, or a time that grows as a power of the text. */
const evil = [
  "^(a+)+$",
  "^(a|a)*$",
  "^(a|aa)+$",
  "(.*a){20}$",
  "a*a*a*a*a*b",
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "(a?){30}a{30}$",
  "\\b(a|b|ab)*\\bc",
  "(x+x+)+y",
  "[ab]*a[ab]{100}[^ab]",
];

test.each(evil)("%s on 4,096 characters is done at once", (pattern) => {
  const texts = ["a".repeat(5_000), `${"a".repeat(4_000)}!`, "aabab".repeat(820), "x".repeat(5_000)];
  const begin = performance.now();
  for (const text of texts) for (let i = 0; i < 5; i++) matches(pattern, text);
  // Twenty runs take some milliseconds each where it is slowest; backtracking would not end.
  expect(performance.now() - begin).toBeLessThan(5_000);
});
