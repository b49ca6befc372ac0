import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createLog, type LogFields, type LogLevel } from "../src/log.ts";

/** What a log of that format writes for one line. */
function written(format: "json" | "pretty", fields: LogFields, event = "some.event"): string {
  let line = "";
  const write = (text: string) => {
    line += text;
  };
  createLog({ level: "debug", format, nowMs: () => 0, write }).info(event, fields);
  return line;
}

const json = (fields: LogFields): Record<string, unknown> => JSON.parse(written("json", fields));

/** U+0000 to U+001F. */
const cannotStandInJson = new RegExp(`[${String.fromCharCode(0)}-${String.fromCharCode(31)}]`);

describe("a line", () => {
  test("has the time, the level, the event, and the fields", () => {
    expect(written("json", { usedBytes: 5, names: ["a"] })).toBe(
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"some.event","usedBytes":5,"names":["a"]}\n',
    );
    const plain = Bun.stripANSI(written("pretty", { usedBytes: 5, names: ["a"], text: "b c" }));
    expect(plain).toBe('00:00:00.000 info  some.event usedBytes=5 names=["a"] text=b c\n');
  });

  test("is written from its level on", () => {
    const levels: LogLevel[] = ["debug", "info", "warn", "error"];
    for (const level of levels) {
      const seen: string[] = [];
      const log = createLog({
        level,
        format: "json",
        nowMs: () => 0,
        write: (line) => seen.push((JSON.parse(line) as { level: string }).level),
      });
      for (const each of levels) log[each]("event");
      expect([level, seen]).toEqual([level, levels.slice(levels.indexOf(level))]);
    }
  });

  test("never holds a secret, however deep or by whatever name", () => {
    const secret = "hunter2-hunter2";
    const fields = {
      token: secret,
      DISCORD_TOKEN: secret,
      headers: { Authorization: `Bearer ${secret}`, cookie: secret },
      config: [{ apiKey: secret, api_key: { value: secret } }],
      clientSecret: [secret],
      password: secret,
      privateKey: secret,
      credentials: { user: secret },
    };
    for (const format of ["json", "pretty"] as const) {
      const line = written(format, fields);
      expect([format, line.includes(secret)]).toEqual([format, false]);
      expect(line).toContain("***");
    }
    // What is missing is not masked: that there is none is worth knowing.
    expect(json({ token: null })).toMatchObject({ token: null });
  });

  test("has errors by their message, also nested", () => {
    const error = new Error("the disk is full");
    expect(json({ error, inner: { errors: [error] } })).toMatchObject({
      error: "the disk is full",
      inner: { errors: ["the disk is full"] },
    });
    expect(written("pretty", { error })).toContain("error=the disk is full");
  });

  test("is bounded: long texts are cut, and too many fields are left out", () => {
    const long = "x".repeat(100_000);
    expect(json({ text: long, inner: [long], error: new Error(long) })).toMatchObject({
      text: `${"x".repeat(2_000)}… (100000 characters)`,
      inner: [`${"x".repeat(2_000)}… (100000 characters)`],
      error: `${"x".repeat(2_000)}… (100000 characters)`,
    });
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key${i}`, i]));
    expect(json(many)).toEqual({
      time: "1970-01-01T00:00:00.000Z",
      level: "info",
      event: "some.event",
      cutCharacters: expect.any(Number),
    });
    expect(written("pretty", many).length).toBeLessThan(33_000);
  });

  test("survives what JSON cannot hold", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(json({ cycle })).toMatchObject({
      event: "some.event",
      unprintable: expect.stringContaining("cycl"),
    });
    expect(written("pretty", { cycle })).toContain("unprintable");
    expect(json({ big: 2n ** 70n, nothing: undefined, nan: Number.NaN })).toMatchObject({
      big: "1180591620717411303424",
      nan: null,
    });
  });

  test("cannot be forged by a field", () => {
    expect(json({ level: "error", event: "another", time: "never" })).toMatchObject({
      level: "info",
      event: "some.event",
      time: "1970-01-01T00:00:00.000Z",
    });
  });

  test("is one line without control characters, whatever stands in it", () => {
    const hostile = "a\nINFO forged\r\x1b[2J\x1b]0;title\x07\x00\x7f\x9b31m\u2028\u202e";
    for (const format of ["json", "pretty"] as const) {
      const fields = { line: hostile, list: [hostile], [hostile]: 1, error: new Error(hostile) };
      const line = written(format, fields, hostile);
      const inner = Bun.stripANSI(line.slice(0, -1));
      // In JSON only the C0 controls are escaped by the format; the rest is data in quotes.
      const forbidden = format === "json" ? cannotStandInJson : /[\p{Cc}\u2028\u202e]/u;
      expect([format, forbidden.test(inner), line.endsWith("\n")]).toEqual([format, false, true]);
    }
    expect(JSON.parse(written("json", { line: hostile })).line).toBe(hostile);
  });

  test("is always one line that can be parsed", () => {
    const property = fc.property(fc.dictionary(fc.string(), fc.anything()), fc.string(), (fields, event) => {
      const line = written("json", fields, event);
      expect(line.indexOf("\n")).toBe(line.length - 1);
      expect(JSON.parse(line)).toMatchObject({ event: event.toWellFormed() });
      expect(written("pretty", fields, event).indexOf("\n")).toBe(
        written("pretty", fields, event).length - 1,
      );
    });
    fc.assert(property, { numRuns: 300 });
  });
});
