import { afterEach, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadToken, tokenPath } from "../../src/http/token.ts";
import { scratchFolder, undoAll } from "../storage/scratch.ts";

afterEach(undoAll);

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("the token is made at first start: 256 bits in a file that only its owner reads", () => {
  const folder = scratchFolder();
  const token = loadToken(folder, undefined);
  expect(Buffer.from(token, "base64url")).toHaveLength(32);
  expect([readFileSync(tokenPath(folder), "utf8"), modeOf(tokenPath(folder))]).toEqual([`${token}\n`, "600"]);
  expect(loadToken(folder, undefined)).toBe(token);
  expect(loadToken(scratchFolder(), undefined)).not.toBe(token);
});

test("a file that others may read is closed to them", () => {
  const folder = scratchFolder();
  const token = loadToken(folder, undefined);
  chmodSync(tokenPath(folder), 0o644);
  expect([loadToken(folder, undefined), modeOf(tokenPath(folder))]).toEqual([token, "600"]);
});

test("a file that holds no token is given one, and closed to others", () => {
  for (const content of ["", "\n", "short"]) {
    const folder = scratchFolder();
    writeFileSync(join(folder, "token"), content, { mode: 0o644 });
    const token = loadToken(folder, undefined);
    expect([content, token.length, modeOf(tokenPath(folder))]).toEqual([content, 43, "600"]);
    expect(loadToken(folder, undefined)).toBe(token);
  }
});

test("one from the environment comes first, and is not written", () => {
  const folder = scratchFolder();
  expect(loadToken(folder, "given")).toBe("given");
  expect(() => statSync(tokenPath(folder))).toThrow("ENOENT");
  expect(loadToken(folder, "")).not.toBe("");
});

test("without a folder it lives as long as the process", () => {
  expect(loadToken(null, undefined)).not.toBe(loadToken(null, undefined));
});
