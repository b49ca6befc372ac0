/** Back to the version that ran well before: after a restart of the conductor too, and until the folder changes. */

import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bot, restarted, startBot } from "./versioned-bot.ts";

let open: Bot | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

/** 1.1.0 runs, 1.0.0 is kept beside it. */
async function secondVersion(): Promise<Bot> {
  const it = await startBot();
  open = it;
  await it.keeps(1);
  it.write("1.1.0");
  expect(await it.manager.reload("bot")).toEqual({ ok: true, notes: [] });
  await it.keeps(2);
  return it;
}

const damage = (folder: string): void => {
  chmodSync(join(folder, "index.ts"), 0o644);
  writeFileSync(join(folder, "index.ts"), "throw 1;");
};

describe("a rollback", () => {
  test("is refused where nothing is kept, and says why", async () => {
    open = await startBot({ options: { keptFolder: () => null } });
    expect(await open.manager.rollback("bot")).toEqual({
      ok: false,
      code: "nothing-kept",
      message: "bot has nothing to go back to: no version is kept: the state is in memory only",
    });
    expect(await open.version()).toBe("1.0.0");
  });

  test("is refused where only the version that runs was ever well", async () => {
    open = await startBot();
    await open.keeps(1);
    expect(await open.manager.rollback("bot")).toMatchObject({
      code: "nothing-kept",
      message: "bot has nothing to go back to: no other version of it has run well here",
    });
    open.write("1.1.0", { code: 'initialize() { throw new Error("no"); },' });
    await open.manager.rescan();
    expect(await open.manager.rollback("bot")).toMatchObject({ code: "nothing-kept" });
    expect(await open.version()).toBe("1.0.0");
  });

  test("goes back without a gap, holds against rescans, and goes forward when it is ordered again", async () => {
    const it = await secondVersion();
    const rolled = await it.manager.rollback("bot");
    expect(rolled).toEqual({ ok: true, notes: [expect.stringContaining(" runs until ")] });
    await it.manager.rescan();
    expect(await it.version()).toBe("1.0.0");
    expect(it.states()).toEqual(["starting", "ready"]);
    await it.manager.rollback("bot");
    expect(await it.version()).toBe("1.1.0");
    expect(it.swaps()).toEqual(["swapped", "rolled_back", "rolled_back"]);
    expect(it.processes()).toHaveLength(1);
  });

  test("is taken back by a reload: what lies in the folder runs again", async () => {
    const it = await secondVersion();
    await it.manager.rollback("bot");
    expect(await it.manager.reload("bot")).toEqual({ ok: true, notes: [] });
    expect(await it.version()).toBe("1.1.0");
    open = await restarted(it);
    expect(await open.version()).toBe("1.1.0");
  });

  test("holds after a restart, until the folder changes, and then no more", async () => {
    const it = await secondVersion();
    await it.manager.rollback("bot");
    const second = await restarted(it);
    open = second;
    expect(await second.version()).toBe("1.0.0");
    await second.manager.rescan();
    expect(await second.version()).toBe("1.0.0");
    second.write("1.2.0");
    await second.manager.rescan();
    expect(await second.version()).toBe("1.2.0");
    open = await restarted(second);
    expect(await open.version()).toBe("1.2.0");
  });

  test("is over when the folder changed while the conductor was down", async () => {
    const it = await secondVersion();
    await it.manager.rollback("bot");
    await it.manager.shutdown();
    it.write("1.2.0");
    open = await restarted(it);
    expect(await open.version()).toBe("1.2.0");
  });
});

describe("a kept copy that was changed by hand", () => {
  test("is not gone back to, and what runs goes on", async () => {
    const it = await startBot();
    open = it;
    await it.keeps(1);
    damage(it.newestKept());
    it.write("1.1.0");
    await it.manager.reload("bot");
    const refused = await it.manager.rollback("bot");
    expect(refused).toMatchObject({ ok: false, code: "nothing-kept" });
    expect(refused.ok ? "" : refused.message).toContain("the kept copy was changed");
    expect(await it.version()).toBe("1.1.0");
    expect(it.states()).toEqual(["starting", "ready"]);
  });

  test("after a rollback to it, does not run at the next start: the plugin's folder does", async () => {
    const it = await startBot();
    open = it;
    await it.keeps(1);
    const first = it.newestKept();
    it.write("1.1.0");
    await it.manager.reload("bot");
    await it.keeps(2);
    expect(await it.manager.rollback("bot")).toMatchObject({ ok: true });
    damage(first);
    open = await restarted(it);
    expect(await open.version()).toBe("1.1.0");
  });
});

test("a version that failed in place of the old one leaves the old one for later starts too, from its copy", async () => {
  const it = await startBot({ yaml: "swap: stop-first\n" });
  open = it;
  await it.keeps(1);
  it.write("1.1.0", { yaml: "swap: stop-first\n", code: 'initialize() { throw new Error("no"); },' });
  expect(await it.manager.reload("bot")).toMatchObject({ ok: false, code: "not-replaced" });
  expect(await it.version()).toBe("1.0.0");
  expect(await it.manager.restart("bot")).toEqual({ ok: true });
  expect(await it.version()).toBe("1.0.0");
  await it.manager.rescan();
  expect(await it.version()).toBe("1.0.0");
  expect(it.swaps()).toEqual(["kept_old"]);
});

test.each([
  ["", true],
  ["", false],
  ["swap: stop-first\n", true],
])(
  "a version that failed is not tried again until the folder changes (%j, versions kept: %p)",
  async (yaml, keeps) => {
    const it = await startBot({ yaml, ...(keeps ? {} : { options: { keptFolder: () => null } }) });
    open = it;
    if (keeps) await it.keeps(1);
    it.write("1.1.0", { yaml, code: 'initialize() { throw new Error("no"); },' });
    for (let scan = 0; scan < 3; scan++) await it.manager.rescan();
    expect(it.swaps()).toEqual(["kept_old"]);
    it.write("1.2.0", { yaml });
    await it.manager.rescan();
    expect(await it.version()).toBe("1.2.0");
  },
);
