/**
 * Regular expressions that cost time in proportion to the text, whatever both are: RE2's, which never backtracks.
 * Backreferences and lookaround cannot be had that way and are refused. The engine is loaded with the first pattern:
 * it holds 6 MB, which nobody should pay who has no regex in a rule.
 */

type Engine = typeof import("re2js");

/** Characters of a text that are looked at. */
export const mostMatchedChars = 4_096;
const mostPatternChars = 256;
/**
 * Steps of the compiled pattern, which `(a{500}){2}` is a short way to have many of. Time is at most steps times
 * characters: 0.5 ms a step for 4,096 of them where the pattern keeps all its steps busy, as `[ab]*a[ab]{100}[^ab]` does
 * on a text of a and b; 0.1 ms in all where it does not.
 */
const mostSteps = 200;

let engine: Engine | null = null;

export type LinearRegex = { ok: true; test(text: string): boolean } | { ok: false; message: string };

/** `test` tells whether the pattern occurs in the first `mostMatchedChars` of a text. */
export function linearRegex(pattern: string): LinearRegex {
  const refused = (message: string): LinearRegex => ({ ok: false, message });
  if (pattern.length > mostPatternChars)
    return refused(`expected a pattern of at most ${mostPatternChars} characters`);
  engine ??= require("re2js") as Engine;
  try {
    const regex = engine.RE2JS.compile(pattern);
    const size = regex.programSize();
    if (size > mostSteps)
      return refused(`expected a smaller pattern: this one has ${size} steps, the most is ${mostSteps}`);
    return { ok: true, test: (text) => regex.test(text.slice(0, mostMatchedChars)) };
  } catch (error) {
    // Whatever it threw, the pattern is the reason: nothing else was handed to it.
    const said =
      error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
    return refused(`expected a pattern in RE2's syntax, without lookaround and backreferences: ${said}`);
  }
}
