/** Server-sent events as they arrive: the part of the format that the conductor writes. */

export interface ServerEvent {
  /** "message" where the server named none. */
  event: string;
  data: string;
}

/** Longest text of one event that is kept. A line of a log has at most 8 KiB, so more than this is no log. */
const mostEventCharacters = 2 ** 20;

function parseEvent(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice("event: ".length);
    else if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
  }
  return data.length === 0 ? null : { event, data: data.join("\n") };
}

/** Each event of `body` once it is whole; comments are left out. Throws when the connection breaks, or for no events. */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    if (rest.length > mostEventCharacters)
      throw new Error(`an event of more than ${mostEventCharacters} characters`);
    for (const block of blocks) {
      const parsed = parseEvent(block);
      if (parsed) yield parsed;
    }
  }
}
