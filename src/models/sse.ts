/**
 * Server-sent events out of lines: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation,
 * of which only the data is wanted.
 */

import { engineError } from "./failure.ts";
import { mostLineCharacters } from "./text-lines.ts";

/** The data of each event once it is whole; one that the stream breaks off in is dropped, as the standard has it. */
export async function* eventData(lines: AsyncIterable<string>): AsyncGenerator<string, void> {
  let data: string | null = null;
  let first = true;
  for await (const raw of lines) {
    const line = first ? raw.replace(/^\ufeff/, "") : raw;
    first = false;
    if (line === "") {
      if (data !== null) yield data;
      data = null;
      continue;
    }
    if (!line.startsWith("data")) continue; // A comment, or a field that is not wanted.
    const value = dataOf(line);
    if (value === null) continue;
    data = data === null ? value : `${data}\n${value}`;
    if (data.length > mostLineCharacters)
      throw engineError(
        "bad-answer",
        `an event of more than ${mostLineCharacters} characters`,
        "check that the address is that of a model server of this kind",
      );
  }
}

/** The value of a data line, without the one space that may stand before it; null for a longer field name. */
function dataOf(line: string): string | null {
  if (line === "data") return "";
  if (line[4] !== ":") return null;
  return line.slice(line[5] === " " ? 6 : 5);
}
