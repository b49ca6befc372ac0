/** Reading traces: every form that is fine, and every mistake with its file, line and column. */

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { plainNumber } from "../../src/replay/csv-number.ts";
import { readTrace } from "../../src/replay/trace.ts";
import { TraceError } from "../../src/replay/trace-error.ts";

const folder = mkdtempSync(join(tmpdir(), "conductor-trace-"));
afterAll(() => rmSync(folder, { recursive: true }));

function written(content: string | Uint8Array, name = "host.csv"): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The series of a file of that content: labels, times, values. */
function read(content: string | Uint8Array) {
  return readTrace(written(content), { name: "host.csv" }).map(({ sys, seg, tSeconds, memPercent }) => ({
    of: `${sys}/${seg}`,
    t: [...tSeconds],
    mem: [...memPercent],
  }));
}

function errorOf(path: string, name = "host.csv"): TraceError {
  try {
    readTrace(path, { name });
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  }
  throw new Error(`${name} was read without an error`);
}

const plain = [{ of: "0/0", t: [0, 5], mem: [1.5, 2.25] }];

describe("is read the same", () => {
  test.each<[string, string | Uint8Array]>([
    ["plain", "t,mem,sys,seg\n0,1.5,0,0\n5,2.25,0,0\n"],
    ["without a line end at the end", "t,mem,sys,seg\n0,1.5,0,0\n5,2.25,0,0"],
    ["with CRLF", "t,mem,sys,seg\r\n0,1.5,0,0\r\n5,2.25,0,0\r\n"],
    ["with a byte order mark", "\ufefft,mem,sys,seg\n0,1.5,0,0\n5,2.25,0,0\n"],
    ["with blank lines", "\nt,mem,sys,seg\n0,1.5,0,0\n\n5,2.25,0,0\n\r\n\n"],
    ["in another order", "seg,mem,sys,t\n0,1.5,0,0\n0,2.25,0,5\n"],
    ["among other columns", "host,t,swap,mem,sys,seg\na,0,,1.5,0,0\nb,5,n/a,2.25,0,0\n"],
    ["quoted", '"t","mem","sys","seg"\n"0","1.5","0","0"\n5,"2.25",0,"0"\n'],
    ["with commas and quotes in a field", 't,note,mem,sys,seg\n0,"a, ""b"", c",1.5,0,0\n5,"",2.25,0,0\n'],
    ["with spaces around", "t, mem ,sys,seg\n0 , 1.5,0,0\n 5,\t2.25, 0,0 \n"],
    ["in other notations", "t,mem,sys,seg\n-0.0,+15e-1,0,0\n5.,.225E1,0,0\n"],
    [
      "with more digits than a double has",
      "t,mem,sys,seg\n0.00000000000000000000,1.5000000000000000000001,0,0\n5,2.25,0,0\n",
    ],
  ])("%s", (_, content) => {
    expect(read(content).map(({ t, ...rest }) => ({ t: t.map((at) => at + 0), ...rest }))).toEqual(plain);
  });
});

test("values over 100 and below 0 are values", () => {
  expect(read("t,mem\n1,250.5\n2,-3\n")[0]?.mem).toEqual([250.5, -3]);
});

test("without sys and seg the file is one series, named after it", () => {
  expect(read("mem,t\n7,1\n8,2\n")).toEqual([{ of: "host/0", t: [1, 2], mem: [7, 8] }]);
});

test("rows of several series may be mixed; each is in its own order", () => {
  const rows = ["0,1,a,0", "0,2,b,0", "5,3,a,0", "0,4,a,1", "5,5,b,0", "10,6,a,0", "0,7,a b,0"];
  expect(read(`t,mem,sys,seg\n${rows.join("\n")}\n`)).toEqual([
    { of: "a/0", t: [0, 5, 10], mem: [1, 3, 6] },
    { of: "b/0", t: [0, 5], mem: [2, 5] },
    { of: "a/1", t: [0], mem: [4] },
    { of: "a b/0", t: [0], mem: [7] },
  ]);
});

test("labels are told apart where one ends and the next begins", () => {
  const labels = read("t,mem,sys,seg\n0,1,ab,c\n0,2,a,bc\n0,3,abc,\n0,4,,abc\n5,5, ab ,c\n").map(
    ({ of }) => of,
  );
  expect(labels).toEqual(["ab/c", "a/bc", "abc/", "/abc"]);
});

test("a file longer than the buffer, with lines across its ends, is read whole", () => {
  const points = 150_000;
  const note = "x".repeat(11);
  const lines = Array.from({ length: points }, (_, i) => `${i * 5},${(i % 997) / 10},${note}`);
  const path = written(`t,mem,note\n${lines.join("\r\n")}`);
  const shares: number[] = [];
  const [series] = readTrace(path, { onRead: (share) => shares.push(share) });
  expect(series?.tSeconds.length).toBe(points);
  expect(series?.tSeconds.every((t, i) => t === i * 5)).toBe(true);
  expect(series?.memPercent.every((mem, i) => mem === (i % 997) / 10)).toBe(true);
  expect(shares.length).toBeGreaterThan(2);
  expect(shares.at(-1)).toBe(1);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
});

const head = "t,mem,sys,seg\n0,1,a,0\n";

describe("is refused", () => {
  test.each<[string, string | Uint8Array, string]>([
    ["an empty file", "", "host.csv: is empty: expected a header with t and mem, and rows"],
    ["blank lines alone", "\n\n", "host.csv: is empty: expected a header"],
    ["a header alone", "t,mem\n", "host.csv:2: no row follows the header"],
    [
      "no mem",
      "t,memory,sys\n0,1,2\n",
      'host.csv:1: no column mem; the header has "t", "memory", "sys": it needs t (seconds) and mem (percent)',
    ],
    [
      "neither",
      "time;mem\n0;1\n",
      'host.csv:1: no column t and no column mem; the header has "time;mem"; separate columns by commas',
    ],
    ["a column twice", "t,mem,t\n0,1,2\n", "host.csv:1: column t: appears twice"],
    ["text for a number", `${head}5,much,a,0\n`, 'host.csv:3: column mem: "much" is not a number'],
    ["text for a time", `${head}noon,5,a,0\n`, 'host.csv:3: column t: "noon" is not a number'],
    ["hexadecimal", `${head}0x5,5,a,0\n`, 'host.csv:3: column t: "0x5" is not a number'],
    ["two points", `${head}5,1.2.3,a,0\n`, 'host.csv:3: column mem: "1.2.3" is not a number'],
    ["a sign alone", `${head}5,-,a,0\n`, 'host.csv:3: column mem: "-" is not a number'],
    [
      "nothing for a number",
      `${head}5,,a,0\n`,
      "host.csv:3: column mem: is empty where a number is expected",
    ],
    ["spaces for a number", `${head}5,"  ",a,0\n`, "host.csv:3: column mem: is empty"],
    ["NaN", `${head}5,NaN,a,0\n`, 'host.csv:3: column mem: "NaN" is not finite'],
    ["inf", `${head}5,1,a,0\ninf,1,a,0\n`, 'host.csv:4: column t: "inf" is not finite'],
    ["-Infinity", `${head}5,-Infinity,a,0\n`, 'host.csv:3: column mem: "-Infinity" is not finite'],
    ["more than a double holds", `${head}5,1e999,a,0\n`, 'host.csv:3: column mem: "1e999" is beyond ±1e100'],
    [
      "an earlier time",
      `${head}5,1,a,0\n4,1,a,0\n`,
      'host.csv:4: column t: 4 is before 5, the time of line 3 in the same series (sys "a", seg "0"): within a series times must rise',
    ],
    ["a repeated time", `${head}0,9,b,0\n0,1,a,0\n`, "host.csv:4: column t: 0 repeats 0, the time of line 2"],
    ["too few fields", `${head}5,1\n`, "host.csv:3: column sys: is missing: 2 fields where the header has 4"],
    ["too many fields", `${head}5,1,a,0,9\n`, "host.csv:3: 5 fields where the header has 4"],
    ["a quote left open", `${head}5,1,"a,0\n`, "host.csv:3: field 3: a quote is not closed on its line"],
    ["a quote left open at the end", `${head}5,1,a,"`, "host.csv:3: field 4: a quote is not closed"],
    ["text after a quote", `${head}5,"1"2,a,0\n`, "host.csv:3: field 2: text follows a closing quote"],
    [
      "a binary file",
      new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 10]),
      "host.csv:1: is not text: byte 0x02",
    ],
    ["UTF-16", Buffer.from("\ufefft,mem\n0,1\n", "utf16le"), "host.csv:1: is not text: byte 0x00"],
    ["a file of one endless line", new Uint8Array(2 << 20).fill(65), "host.csv:1: longer than 1 MiB"],
  ])("%s", (_, content, message) => {
    const error = errorOf(written(content));
    expect(error.message.slice(0, message.length)).toBe(message);
    expect(error).toMatchObject({ name: "TraceError", code: "trace", place: { file: "host.csv" } });
  });

  test("what is shown of a field is short and has no control characters", () => {
    const { message } = errorOf(written(`${head}5,\u001b[2J${"9x".repeat(5_000)},a,0\n`));
    expect(message).toMatch(/^host\.csv:3: column mem: "\\u001b\[2J(9x)+…" is not a number$/);
    expect(message.length).toBeLessThan(120);
  });

  test("no such file, and a folder", () => {
    expect(errorOf(join(folder, "none.csv"), "none.csv").message).toBe("none.csv: no such file");
    const path = join(folder, "sub");
    mkdirSync(path);
    expect(errorOf(path, "sub").message).toBe("sub: is a directory: name the CSV files in it");
  });

  test.skipIf(process.getuid?.() === 0)("one that this user may not read", () => {
    const path = written("t,mem\n0,1\n", "secret.csv");
    chmodSync(path, 0);
    expect(errorOf(path, "secret.csv").message).toBe("secret.csv: may not be read by this user");
  });
});

test("plain decimals are the doubles that Number makes of them", () => {
  const encoder = new TextEncoder();
  const decimal = fc.tuple(fc.boolean(), fc.stringMatching(/^\d{1,8}$/), fc.stringMatching(/^(\.\d{0,9})?$/));
  fc.assert(
    fc.property(decimal, ([negative, whole, rest]) => {
      const text = `${negative ? "-" : ""}${whole}${rest}`;
      const parsed = plainNumber(encoder.encode(text), 0, text.length);
      const digits = (whole + rest).replace(".", "").length;
      expect(parsed).toBe(digits > 15 ? Number.NaN : Number(text));
    }),
    { numRuns: 2_000 },
  );
});

test("whatever a file holds, it is read or refused as a trace", () => {
  const piece = fc.constantFrom(
    "t",
    "mem",
    "sys",
    ",",
    '"',
    "\n",
    "\r\n",
    "1",
    "2.5",
    "-",
    "e9",
    " ",
    "\ufeff",
    "x\u0000",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const path = written(`t,mem\n0,1\n${pieces.join("")}`);
      try {
        expect(readTrace(path)[0]?.tSeconds[0]).toBe(0);
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});
