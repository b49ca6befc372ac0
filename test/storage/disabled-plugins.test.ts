import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { mostDisabled } from "../../src/storage/disabled-plugins.ts";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

test("what was disabled outlives the process, each with its time, until it is forgotten", () => {
  const path = join(scratchFolder(), "conductor.db");
  const first = storageAt(path);
  const { disabledPlugins } = first;
  expect([disabledPlugins.keep("voice", 1), disabledPlugins.keep("voice", 2.7)]).toEqual([
    { problem: null },
    { problem: null },
  ]);
  disabledPlugins.keep("discord", 3);
  disabledPlugins.keep("gone", 4);
  expect(disabledPlugins.forget("gone")).toEqual({ problem: null });
  expect(disabledPlugins.forget("never there")).toEqual({ problem: null });
  first.close();
  expect([...storageAt(path).disabledPlugins.all()]).toEqual([
    ["discord", 3],
    ["voice", 2],
  ]);
});

test("over the bound the one that was disabled longest ago leaves", () => {
  const { disabledPlugins } = storageAt(":memory:");
  for (let at = 1; at <= mostDisabled + 2; at++) disabledPlugins.keep(`plugin-${at}`, at);
  const all = disabledPlugins.all();
  expect(all.size).toBe(mostDisabled);
  expect([...all.values()].sort((a, b) => a - b).at(0)).toBe(3);
});
