import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { EngineError } from "../../src/models/failure.ts";
import { eventData } from "../../src/models/sse.ts";
import { mostLineCharacters, textLines } from "../../src/models/text-lines.ts";

async function* cutAt(bytes: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const to of [...places].sort((one, other) => one - other)) {
    yield bytes.subarray(from, to);
    from = to;
  }
  yield bytes.subarray(from);
}

const linesOf = (text: string, places: readonly number[] = []) =>
  Array.fromAsync(textLines(cutAt(Buffer.from(text), places)));
const dataOf = (text: string, places: readonly number[] = []) =>
  Array.fromAsync(eventData(textLines(cutAt(Buffer.from(text), places))));

describe("lines of a stream", () => {
  test("end with LF, CRLF or CR, or with the stream", async () => {
    expect(await linesOf("a\nb\r\nc\rd\n\ne")).toEqual(["a", "b", "c", "d", "", "e"]);
    expect(await linesOf("")).toEqual([]);
    expect(await linesOf("\n")).toEqual([""]);
  });

  test("are the same wherever the bytes are cut", async () => {
    const text = fc.array(fc.constantFrom("a", "ü", "😀", "\n", "\r", "\r\n", "\ufeff"), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(120), { maxLength: 8 }), async (parts, places) => {
        const whole = parts.join("");
        const most = Buffer.byteLength(whole);
        expect(
          await linesOf(
            whole,
            places.map((at) => Math.min(at, most)),
          ),
        ).toEqual(await linesOf(whole));
      }),
    );
  });

  test("one that is too long is refused before it is whole", async () => {
    const long = async function* () {
      for (;;) yield new Uint8Array(2 ** 16).fill(97);
    };
    const reading = Array.fromAsync(textLines(long()));
    expect(await reading.catch((error: unknown) => error)).toBeInstanceOf(EngineError);
    expect(await linesOf("a".repeat(mostLineCharacters))).toHaveLength(1);
  });
});

describe("events of a stream", () => {
  // From the examples and rules of the standard.
  const cases: [string, string, string[]][] = [
    ["one line each", "data: a\n\ndata: b\n\n", ["a", "b"]],
    ["several lines of one event", "data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]],
    ["comments and other fields", ": hello\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n", ["a"]],
    ["without data there is no event", "event: x\n\ndata: a\n\n", ["a"]],
    ["empty data are data", "data\n\ndata\ndata\n\ndata:\n\n", ["", "\n", ""]],
    ["one space is no part of it, a second is", "data:a\n\ndata:  b\n\n", ["a", " b"]],
    ["a longer field name is another field", "database: a\n\ndata: b\n\n", ["b"]],
    ["a mark of byte order at the start", "\ufeffdata: a\n\n", ["a"]],
    ["CR and CRLF", "data: a\r\rdata: b\r\n\r\n", ["a", "b"]],
    ["one that the stream breaks off in is dropped", "data: a\n\ndata: b\n", ["a"]],
  ];
  test.each(cases)("%s", async (_, text, data) => {
    expect(await dataOf(text)).toEqual(data);
    const everywhere = Array.from({ length: Buffer.byteLength(text) }, (_unused, at) => at);
    expect(await dataOf(text, everywhere)).toEqual(data);
  });

  test("one of many lines that is too long is refused", async () => {
    const line = `data: ${"a".repeat(1_000)}\n`;
    const reading = dataOf(line.repeat(1_100));
    expect(await reading.catch((error: unknown) => error)).toBeInstanceOf(EngineError);
  });
});
