/** Orders of an administrator that cannot be written down: carried out all the same, and said. */

import { expect, test } from "bun:test";
import type { DisabledStore } from "../../src/plugins/disabled.ts";
import { bunPlugin, harness } from "./harness.ts";

const answering = bunPlugin("bot", "export default definePlugin({ handleRequest: () => 1 });");

test("an order that cannot be written down is carried out, and its answer says how long it holds", async () => {
  const asked: string[] = [];
  const refusing: DisabledStore = {
    all: () => new Map(),
    keep: (plugin) => `keep ${asked.push(plugin)}: the disk is full`,
    forget: (plugin) => `forget ${asked.push(plugin)}: the disk is full`,
  };
  const it = await harness({ bot: answering }, { disabledStore: () => refusing });
  try {
    await it.manager.startAll();
    expect(await it.manager.disable("bot")).toMatchObject({
      ok: true,
      notes: ["holds until conductor ends, since it could not be written down: keep 1: the disk is full"],
    });
    expect(it.manager.view("bot")?.state).toBe("disabled");
    expect(await it.manager.enable("bot")).toMatchObject({
      ok: true,
      notes: ["holds until conductor ends, since it could not be written down: forget 2: the disk is full"],
    });
    expect(it.manager.view("bot")?.state).toBe("ready");
    // What is no plugin is not written down.
    expect(await it.manager.disable("nobody")).toMatchObject({ ok: false, code: "unknown-plugin" });
    expect(asked).toEqual(["bot", "bot"]);
  } finally {
    await it.end();
  }
});

test("one that was disabled before the start is not started with the others, nor by what requires it", async () => {
  const store: DisabledStore = {
    all: () => new Map([["bot", Date.UTC(2026, 0, 2, 3, 4, 5)]]),
    keep: () => null,
    forget: () => null,
  };
  const above = bunPlugin(
    "above",
    "export default definePlugin({ handleRequest: () => 1 });",
    "requires: [bot]\n",
  );
  const it = await harness({ bot: answering, above }, { disabledStore: () => store });
  try {
    it.manager.holdDisabled();
    await it.manager.startAll();
    expect(it.manager.view("bot")).toMatchObject({
      state: "disabled",
      reason: "disabled by an administrator at 2026-01-02T03:04:05.000Z",
      pids: [],
    });
    expect(it.manager.view("above")?.state).toBe("blocked");
    expect(it.of("plugin.instances")).toEqual([]);
  } finally {
    await it.end();
  }
});
