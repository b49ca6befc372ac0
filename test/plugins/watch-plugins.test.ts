/** Watching the plugins' folders: every kind of change is told, once for a burst, and nothing else is. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, SystemClock, VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { Burst } from "../../src/plugins/burst.ts";
import { PluginWatch, type PluginWatchOptions } from "../../src/plugins/watch-plugins.ts";
import { watchFolder } from "../../src/plugins/watched-folders.ts";

const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0).reverse()) end();
});

function scratch(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-watch-")));
  endings.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const write = (...parts: string[]) => {
  const path = join(...parts);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, "x");
};

/** A watch that runs, its calls counted; `next` resolves at the next one. */
function watching(dirs: string[], more: Partial<PluginWatchOptions> = {}) {
  let calls = 0;
  const waiting: (() => void)[] = [];
  const clock: Clock = new SystemClock();
  const options = { dirs, clock, log: silentLog, ...more };
  const changed = () => {
    calls++;
    for (const resolve of waiting.splice(0)) resolve();
  };
  const watch = new PluginWatch({ ...options, changed });
  watch.start();
  endings.push(() => watch.stop());
  return {
    watch,
    calls: () => calls,
    next: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}

/** Does `what` and waits until it is told. */
async function told({ next }: ReturnType<typeof watching>, what: () => void): Promise<void> {
  const called = next();
  what();
  await called;
}

describe("one call tells of", () => {
  test("each kind of change to a plugin, one after the other", async () => {
    const root = scratch();
    write(root, "a/plugin.yaml");
    write(root, "a/src/deep/index.ts");
    const it = watching([root]);
    const steps: [string, () => void][] = [
      ["an edit", () => appendFileSync(join(root, "a/plugin.yaml"), "y")],
      ["an edit further down", () => appendFileSync(join(root, "a/src/deep/index.ts"), "y")],
      ["a new file", () => write(root, "a/other.ts")],
      ["a new plugin", () => write(root, "b/plugin.yaml")],
      ["an edit of the new plugin", () => appendFileSync(join(root, "b/plugin.yaml"), "y")],
      [
        "a file put in the place of another",
        () => {
          writeFileSync(join(root, "b/.plugin.yaml.new"), "z");
          renameSync(join(root, "b/.plugin.yaml.new"), join(root, "b/plugin.yaml"));
        },
      ],
      ["a plugin under another name", () => renameSync(join(root, "b"), join(root, "c"))],
      ["an edit under the other name", () => appendFileSync(join(root, "c/plugin.yaml"), "y")],
      ["a removed file", () => rmSync(join(root, "a/other.ts"))],
      ["a removed plugin", () => rmSync(join(root, "c"), { recursive: true })],
      [
        "a plugin removed and made again at once",
        () => {
          rmSync(join(root, "a"), { recursive: true });
          write(root, "a/plugin.yaml");
        },
      ],
      ["an edit of the one made again", () => appendFileSync(join(root, "a/plugin.yaml"), "y")],
    ];
    for (const [index, [, step]] of steps.entries()) {
      await told(it, step);
      expect(it.calls()).toBe(index + 1);
    }
  }, 30_000);

  test("a burst of 500 edits", async () => {
    const root = scratch();
    for (let n = 0; n < 500; n++) write(root, `p${n}/plugin.yaml`);
    const it = watching([root]);
    expect(it.watch.watchedFolders).toBe(501);
    await told(it, () => {
      for (let n = 0; n < 500; n++) appendFileSync(join(root, `p${n}/plugin.yaml`), "y");
    });
    // Another change, to see that none was told in between.
    await told(it, () => appendFileSync(join(root, "p1/plugin.yaml"), "y"));
    expect(it.calls()).toBe(2);
  });

  test("a plugin moved in from elsewhere, and a change in it", async () => {
    const [root, elsewhere] = [scratch(), scratch()];
    write(elsewhere, "bot/src/index.ts");
    const it = watching([root]);
    await told(it, () => renameSync(join(elsewhere, "bot"), join(root, "bot")));
    await told(it, () => appendFileSync(join(root, "bot/src/index.ts"), "y"));
    expect(it.calls()).toBe(2);
  });

  test("a change behind a link, and the link's new target", async () => {
    const [root, elsewhere] = [scratch(), scratch()];
    write(elsewhere, "one/plugin.yaml");
    write(elsewhere, "two/plugin.yaml");
    symlinkSync(join(elsewhere, "one"), join(root, "bot"));
    const it = watching([root]);
    await told(it, () => appendFileSync(join(elsewhere, "one/plugin.yaml"), "y"));
    await told(it, () => {
      symlinkSync(join(elsewhere, "two"), join(root, ".bot"));
      renameSync(join(root, ".bot"), join(root, "bot"));
    });
    await told(it, () => appendFileSync(join(elsewhere, "two/plugin.yaml"), "y"));
    expect(it.calls()).toBe(3);
  });

  test("a folder that was not there when the watch began, and that goes and comes again", async () => {
    const parent = scratch();
    const root = join(parent, "deep/plugins");
    const it = watching([root]);
    await told(it, () => write(root, "a/plugin.yaml"));
    await told(it, () => appendFileSync(join(root, "a/plugin.yaml"), "y"));
    await told(it, () => rmSync(join(parent, "deep"), { recursive: true }));
    expect(it.watch.watchedFolders).toBe(0);
    await told(it, () => write(root, "b/plugin.yaml"));
    await told(it, () => appendFileSync(join(root, "b/plugin.yaml"), "y"));
    expect(it.calls()).toBe(5);
  });

  test("a package that was installed, but not what lies deep in one", async () => {
    const root = scratch();
    write(root, "node_modules/big/lib/deep/index.js");
    const it = watching([root]);
    expect(it.watch.watchedFolders).toBe(3);
    appendFileSync(join(root, "node_modules/big/lib/deep/index.js"), "y");
    await told(it, () => write(root, "node_modules/@me/bot/package.json"));
    await told(it, () => appendFileSync(join(root, "node_modules/@me/bot/package.json"), "y"));
    expect(it.calls()).toBe(2);
  });
});

test("editors' files, caches and what a plugin may write to are not told of", async () => {
  const root = scratch();
  write(root, "a/plugin.yaml");
  mkdirSync(join(root, "a/data"));
  mkdirSync(join(root, "a/__pycache__"));
  mkdirSync(join(root, "a/node_modules"));
  const it = watching([root], { ignored: (path) => path === join(root, "a/data") });
  for (const name of [
    ".plugin.yaml.swp",
    "plugin.yaml~",
    "index.ts.swp",
    "__pycache__/a.pyc",
    "data/log",
    ".git/x",
  ])
    write(root, "a", name);
  write(root, "a/node_modules/x");
  await told(it, () => appendFileSync(join(root, "a/plugin.yaml"), "y"));
  await told(it, () => appendFileSync(join(root, "a/plugin.yaml"), "y"));
  expect(it.calls()).toBe(2);
  expect(it.watch.watchedFolders).toBe(2);
});

test("where no watch is left the folders are scanned every 10 s, and that is said once", async () => {
  const root = scratch();
  for (let n = 0; n < 20; n++) write(root, `p${n}/plugin.yaml`);
  const clock = new VirtualClock();
  const said: unknown[] = [];
  let given = 0;
  const it = watching([root], {
    clock,
    log: { ...silentLog, warn: (event, fields) => void said.push([event, fields]) },
    watch: (folder, changed) => {
      if (given++ >= 5) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      return watchFolder(folder, changed);
    },
  });
  expect(it.watch.scansByTheClock).toBe(true);
  await clock.advance(9_999);
  expect(it.calls()).toBe(0);
  await clock.advance(20_001);
  expect(it.calls()).toBe(3);
  expect(said).toEqual([
    [
      "plugins.watch_incomplete",
      { reason: "no watches left; raise fs.inotify.max_user_watches", rescanSeconds: 10 },
    ],
  ]);
  it.watch.stop();
  await clock.advance(60_000);
  expect(it.calls()).toBe(3);
});

test("with no watch at all there are the scans by the clock and no others", async () => {
  const root = scratch();
  write(root, "a/plugin.yaml");
  const clock = new VirtualClock();
  const refuse = () => {
    throw Object.assign(new Error("no instance"), { code: "EMFILE" });
  };
  const it = watching([root, join(root, "none/yet")], { clock, watch: refuse });
  await clock.advance(20_000);
  expect([it.calls(), it.watch.watchedFolders]).toEqual([2, 0]);
});

describe("a burst", () => {
  test("ends 300 ms after its last notice, and 2 s after its first at the latest", async () => {
    const clock = new VirtualClock();
    const ranAtMs: number[] = [];
    const run = () => void ranAtMs.push(clock.monotonicMs());
    const burst = new Burst({ clock, quietMs: 300, longestMs: 2_000, run });
    burst.note();
    await clock.advance(200);
    burst.note();
    await clock.advance(1_000);
    expect(ranAtMs).toEqual([500]);
    for (let n = 0; n < 30; n++) {
      burst.note();
      await clock.advance(100);
    }
    await clock.advance(1_000);
    expect(ranAtMs).toEqual([500, 3_200, 4_400]);
    burst.note();
    burst.cancel();
    await clock.advance(5_000);
    expect(ranAtMs).toHaveLength(3);
  });
});
