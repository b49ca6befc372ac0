/** The line that shows how far long work has come: after a second, ten times a second, on a terminal alone. */

import { expect, test } from "bun:test";
import { PercentLine } from "../../src/cli/percent-line.ts";

/** Shows 0 % to 100 % over `seconds`, a percent at a time, and ends. Yields what was drawn, and the clock's reading. */
function drawn(isTerminal: boolean, seconds: number): string[] {
  const texts: string[] = [];
  let nowNs = 0;
  const redraw = (text: string) => void texts.push(text);
  const unexpected = (line: string) => {
    throw new Error(`written: ${line}`);
  };
  const line = new PercentLine({ out: unexpected, err: unexpected, redraw, isTerminal }, () => nowNs);
  for (let percent = 0; percent <= 100; percent++) {
    nowNs = percent * seconds * 1e7;
    line.show("scoring ols", percent / 100);
  }
  line.end();
  return texts;
}

test("shows nothing of work that is done within a second, nor where stderr is no terminal", () => {
  expect(drawn(true, 0.9)).toEqual([]);
  expect(drawn(false, 60)).toEqual([]);
});

test("shows the rest of longer work ten times a second, and takes the line away", () => {
  const texts = drawn(true, 2);
  expect(texts.slice(0, 3)).toEqual(["scoring ols, 50 %", "scoring ols, 55 %", "scoring ols, 60 %"]);
  expect(texts.length).toBe(12);
  expect(texts.at(-1)).toBe("");
});
