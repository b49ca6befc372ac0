/** Which part of the state folder is hidden from plugins. */

import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hiddenState, pluginDataFolder } from "../../src/conductor/state-folder.ts";

let folder = "";
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a folder of conductor's own is hidden whole, of one named by hand only what is conductor's", () => {
  folder = mkdtempSync(join(tmpdir(), "conductor-state-"));
  mkdirSync(pluginDataFolder(folder));
  mkdirSync(join(folder, ".venv"));
  const own = ["bot.db", "bot.db-wal", "bot.db-shm", "bot.db.ballast", "token", "forecast.state"];
  for (const name of [...own, "notes.txt", "bot.yaml"]) writeFileSync(join(folder, name), "");
  expect(hiddenState(folder, undefined)).toEqual([folder]);
  expect(hiddenState(folder, "./bot.db").sort()).toEqual(
    [...own, "plugin-data"].map((name) => join(folder, name)).sort(),
  );
});
