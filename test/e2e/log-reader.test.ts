/** Who reads the log may stop reading, or go away: conductor goes on. */

import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "./clean-up.ts";
import { pssBytes } from "./processes.ts";
import { rogueManifest } from "./rogue-manifest.ts";
import { executable, until, writeFiles } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;

/** Each fills half a megabyte of log: together more than waits for a reader. */
const talkers = ["talker-a", "talker-b", "talker-c", "talker-d"];
/** 800 MB are some seconds of computing for all that pass them on, and more where others compute as well. */
const limits = "limits: { requestTimeout: 25s }\n";

/** A conductor whose log goes to a pipe of which the test holds the other end. */
async function withPipe() {
  const folder = scratchFolder(defer);
  for (const name of talkers)
    writeFiles(folder, { [`plugins/${name}/plugin.yaml`]: rogueManifest(name, [], limits) });
  const pipe = join(folder, "log");
  Bun.spawnSync(["mkfifo", pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const child = Bun.spawn(["sh", "-c", 'exec "$0" serve 2>log', executable], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", STATE_DIRECTORY: join(folder, "state"), CONDUCTOR_HTTP_PORT: "0" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  const buffer = Buffer.alloc(64 * 1024);
  let text = "";
  const read = (): string => {
    try {
      const bytes = readSync(reader, buffer);
      text += buffer.toString("utf8", 0, bytes);
      return text;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return text;
      throw error;
    }
  };
  const url = await until("it is ready", 10_000, () =>
    read().includes("conductor.ready") ? /"url":"([^"]+)"/.exec(text)?.[1] : null,
  );
  return { child, url, read, stopReading: () => closeSync(reader) };
}

/** 200 MB of plugin output, of which a few hundred KB become log lines: more than a pipe holds. */
const flood = (url: string, platform: string) =>
  fetch(`${url}api/v1/requests`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ platform, type: "flood-stderr", payload: "done" }),
  });

describe("a log", () => {
  test("that nobody reads holds nothing up, and tells later what was dropped", async () => {
    const { child, url, read } = await withPipe();
    const answers = await Promise.all(talkers.map((name) => flood(url, name)));
    expect(answers.map(({ status }) => status)).toEqual(talkers.map(() => 200));
    for (let asked = 0; asked < 20; asked++) {
      const beginMs = performance.now();
      expect((await fetch(`${url}readyz`)).status).toBe(200);
      expect(performance.now() - beginMs).toBeLessThan(500);
    }
    // The runtime collects what 800 MB left behind when it sees fit, which on a busy machine is not at once.
    await until("it is under 80 MiB", 10_000, () => (pssBytes(child.pid) < 80 * MiB ? true : null));
    await until("it is told", 10_000, () => {
      for (let i = 0; i < 50; i++) read();
      return read().includes('"event":"log.dropped"');
    });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }, 60_000);

  test("whose reader went away ends nothing", async () => {
    const { child, url, stopReading } = await withPipe();
    stopReading();
    expect((await flood(url, "talker-a")).status).toBe(200);
    expect((await fetch(`${url}readyz`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }, 60_000);
});
