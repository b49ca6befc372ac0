/** A database that cannot be used: one clear line with the remedy and exit 1; one that fails later stops nothing. */

import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "./clean-up.ts";
import { conductor as run } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until, writeFiles } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

function mountTmpfs(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  if (exitCode !== 0) throw new Error(`mount: ${stderr}`);
  defer(() => Bun.spawnSync(["umount", "--lazy", folder]));
}

/** Fills the disk to the last byte with one file; yields what removes it. */
function fill(path: string): () => void {
  const { exitCode } = Bun.spawnSync(["dd", "if=/dev/zero", `of=${path}`, "bs=4k"], { stderr: "ignore" });
  if (exitCode === 0) throw new Error("the disk did not fill up");
  return () => rmSync(path);
}

/** A folder with the database that one run left. */
async function usedFolder(): Promise<string> {
  const conductor = await RunningConductor.start({ files: echoFiles("echo") });
  defer(() => conductor.remove());
  expect(await conductor.terminate()).toBe(0);
  return conductor.folder;
}

const serve = (cwd: string, wrap: string[] = [], environment: Record<string, string> = {}) =>
  run(["serve"], {
    cwd,
    wrap,
    environment: { CONDUCTOR_HTTP_PORT: "0", STATE_DIRECTORY: join(cwd, "state"), ...environment },
  });

/** It ended with 1 and one line on stderr, which `matches`. */
async function refuses(ended: ReturnType<typeof serve>, matches: RegExp): Promise<void> {
  const { code, problems } = await ended;
  expect(problems).toEqual([
    expect.stringMatching(new RegExp(`^conductor: database and metrics: .*${matches.source}`)),
  ]);
  expect(code).toBe(1);
}

describe("serve refuses, says why and what to do, and changes nothing:", () => {
  test("a corrupt database", async () => {
    const folder = await usedFolder();
    const path = join(folder, "state/conductor.db");
    const bytes = readFileSync(path);
    bytes.fill(0xaa, 4_096, 12_288);
    writeFileSync(path, bytes);
    await refuses(serve(folder), /is corrupt \(.*\): move it away and start again \(mv /);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test("a file that is no database", async () => {
    const folder = scratchFolder(defer);
    writeFiles(folder, { "state/conductor.db": "these are my notes, not a database\n".repeat(100) });
    await refuses(serve(folder), /is no SQLite database .*: set storage\.path to another file/);
  });

  test("another program's database", async () => {
    const folder = scratchFolder(defer);
    mkdirSync(join(folder, "state"));
    const other = new Database(join(folder, "state/conductor.db"));
    other.run("CREATE TABLE bookmarks (url TEXT)");
    other.close();
    await refuses(serve(folder), /is the database of another program/);
  });

  test("a newer conductor's database", async () => {
    const folder = await usedFolder();
    const newer = new Database(join(folder, "state/conductor.db"));
    newer.run("PRAGMA user_version = 999");
    newer.close();
    await refuses(serve(folder), /written by a newer conductor \(schema 999, .*run that newer conductor/);
  });

  test("one that another conductor holds, and the first goes on", async () => {
    const first = await RunningConductor.start({ files: echoFiles("echo") });
    defer(() => first.remove());
    defer(() => first.kill());
    await refuses(
      serve(first.folder),
      new RegExp(`is locked by pid ${first.pid}, another conductor: stop it \\(kill ${first.pid}\\)`),
    );
    expect((await first.request("echo", 1)).status).toBe(200);
  });

  test("a storage.path in a folder that is missing, or that is a folder", async () => {
    const folder = scratchFolder(defer);
    await refuses(
      serve(folder, [], { CONDUCTOR_STORAGE_PATH: "none/conductor.db" }),
      /none of the database .* does not exist: create it \(mkdir -p /,
    );
    await refuses(serve(folder, [], { CONDUCTOR_STORAGE_PATH: "." }), /is a directory: name a file in it/);
  });

  test.skipIf(!isRoot)("one that this user may not write", async () => {
    const folder = await usedFolder();
    for (const each of [folder, join(folder, "state")]) chmodSync(each, 0o755);
    chmodSync(join(folder, "state/conductor.db"), 0o644);
    await refuses(
      serve(folder, asNobody, { CONDUCTOR_STORAGE_PATH: "state/conductor.db" }),
      /cannot be written: let this user write the file and its folder/,
    );
  });

  test.skipIf(!isRoot)("one on a full disk", async () => {
    const folder = scratchFolder(defer);
    mountTmpfs(join(folder, "state"), "64k");
    fill(join(folder, "state/filler"));
    await refuses(
      serve(folder, [], { CONDUCTOR_STORAGE_PATH: "state/conductor.db" }),
      /the disk that holds the database .* is full: free some space/,
    );
    // A place that nobody asked for is passed over.
    const conductor = await RunningConductor.start({ folder, files: echoFiles("echo") });
    expect(conductor.logged("storage.in_memory")[0]?.reason).toMatch(/the disk .* is full/);
    expect(await conductor.terminate()).toBe(0);
  });
});

test.skipIf(!isRoot)(
  "a disk that fills up while it runs stops nothing, is counted, and is over when there is room",
  async () => {
    const folder = scratchFolder(defer);
    const state = join(folder, "state");
    mountTmpfs(state, "8m");
    const conductor = await RunningConductor.start({
      folder,
      files: echoFiles("echo"),
      config: "monitor: { interval: 20ms }\nscaler: { order: [echo] }\n",
    });
    defer(() => conductor.kill());
    const failures = async () => {
      const text = await (await fetch(conductor.url("/metrics"))).text();
      const lines = text.split("\n").filter((line) => /^conductor_storage_write_failures_total/.test(line));
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    };
    const newest = async () => {
      const { samples } = await conductor.get<{ samples: { at: string }[] }>(
        "/api/v1/resources/history?limit=1",
      );
      return samples[0]?.at ?? "";
    };
    const remove = fill(join(state, "filler"));
    await until("writes fail", 20_000, async () => (await failures()) > 0);
    const before = await newest();
    await until("it samples on", 5_000, async () => (await newest()) > before);
    expect((await conductor.request("echo", "still here")).body.result).toEqual({ echo: "still here" });
    expect((await fetch(conductor.url("/readyz"))).status).toBe(200);
    const [said] = ["storage.write_failed", "storage.write_left_out"].flatMap((each) =>
      conductor.logged(each),
    );
    expect(said?.message).toContain("is full: free some space");
    remove();
    await until("it writes again", 20_000, () => conductor.logged("storage.write_recovered").length > 0);
    expect(await conductor.terminate()).toBe(0);
  },
  40_000,
);
