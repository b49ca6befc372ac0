import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { keepAll } from "./rows.ts";
import { recordedLog, scratchFolder, undoAll } from "./scratch.ts";

afterEach(undoAll);

test("the first of storage.path, STATE_DIRECTORY, XDG_STATE_HOME and HOME is taken", () => {
  const folder = scratchFolder();
  const at = (name: string) => join(folder, name);
  const env = { STATE_DIRECTORY: `${at("s1")}:${at("s2")}`, XDG_STATE_HOME: at("xdg"), HOME: at("home") };
  const cases: [string | undefined, Record<string, string>, string, string][] = [
    [at("explicit.db"), env, at("explicit.db"), "storage.path"],
    ["relative.db", env, resolve("relative.db"), "storage.path"],
    [undefined, env, at("s1/conductor.db"), "STATE_DIRECTORY"],
    [undefined, { ...env, STATE_DIRECTORY: "" }, at("xdg/conductor/conductor.db"), "XDG_STATE_HOME"],
    [
      undefined,
      { XDG_STATE_HOME: "not/absolute", HOME: at("home") },
      at("home/.local/state/conductor/conductor.db"),
      "HOME",
    ],
  ];
  for (const [explicit, environment, path, source] of cases)
    expect(resolveLocation(explicit, environment)).toMatchObject({ path, source, passedOver: [] });
  expect(statSync(at("xdg/conductor")).mode & 0o777).toBe(0o700);
  expect(readdirSync(at("xdg/conductor"))).toEqual([]);
  expect(existsSync(at("s2"))).toBe(false);
});

test("a folder that cannot be made is passed over with its reason; with none left it is memory", () => {
  const folder = scratchFolder();
  const blocked = join(folder, "file");
  writeFileSync(blocked, "");
  const next = resolveLocation(undefined, { STATE_DIRECTORY: blocked, XDG_STATE_HOME: folder });
  expect(next.path).toBe(join(folder, "conductor", "conductor.db"));
  expect(next.passedOver).toMatchObject([{ source: "STATE_DIRECTORY", folder: blocked }]);

  const none = resolveLocation(undefined, { STATE_DIRECTORY: blocked, HOME: blocked });
  expect(none.path).toBeNull();
  expect(none.inMemoryBecause).toMatch(/STATE_DIRECTORY: E.*; HOME: E/);
  expect(resolveLocation(undefined, {}).inMemoryBecause).toContain("HOME");
});

test("storage in memory works and says why in log and status", () => {
  const { log, lines } = recordedLog();
  const location = resolveLocation(undefined, {});
  const storage = openStorage({ location, retention: keepAll, clock: new SystemClock(), log });
  expect(lines).toMatchObject([{ level: "warn", event: "storage.in_memory" }]);
  expect(storage.status()).toMatchObject({
    path: null,
    inMemoryBecause: location.inMemoryBecause,
    ballast: "none",
  });
  expect(storage.maintain()?.deletedRows).toBe(0);
  storage.close();
});

test("only this user may read the database and its log", () => {
  const folder = scratchFolder();
  const location = resolveLocation(undefined, { STATE_DIRECTORY: folder });
  const { log } = recordedLog();
  const storage = openStorage({ location, retention: keepAll, clock: new SystemClock(), log });
  for (const name of ["conductor.db", "conductor.db-wal", "conductor.db.ballast"])
    expect([name, (statSync(join(folder, name)).mode & 0o077).toString(8)]).toEqual([name, "0"]);
  storage.close();
});
