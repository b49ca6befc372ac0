/** Lines out of bytes as they come, each bounded: what both kinds of streams (SSE, NDJSON) are made of. */

import { engineError } from "./failure.ts";

/** Characters of one line: one token with all its trimmings has some hundred. */
export const mostLineCharacters = 2 ** 20;

/**
 * Each line without its end: LF, CRLF or CR. The last one counts without an end too. Bytes that are no UTF-8 become U+FFFD.
 * Throws EngineError for a line that is too long.
 */
export async function* textLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  // A CR at the end of a chunk has ended its line; an LF right after it belongs to it.
  let afterReturn = false;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    if (text === "") continue;
    if (afterReturn && text.startsWith("\n")) text = text.slice(1);
    afterReturn = text.endsWith("\r");
    // Only what is new is looked through: a long line may come in many pieces.
    const [first = "", ...more] = text.split(/\r\n|\n|\r/);
    rest += first;
    const last = more.pop();
    const lines = last === undefined ? [] : [rest, ...more];
    rest = last ?? rest;
    if (rest.length > mostLineCharacters || lines.some(({ length }) => length > mostLineCharacters))
      throw engineError(
        "bad-answer",
        `a line of more than ${mostLineCharacters} characters in the stream`,
        "check that the address is that of a model server of this kind",
      );
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
