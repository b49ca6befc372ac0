/** Folders, rows and processes for the storage tests; all of it is gone when a test ends. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import type { Log, LogFields } from "../../src/log.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage, type Storage, type StorageOptions } from "../../src/storage/storage.ts";
import { keepAll } from "./rows.ts";

const cleanups: (() => void | Promise<void>)[] = [];

/** Runs `undo` after the current test, the last one first. */
export function afterwards(undo: () => void | Promise<void>): void {
  cleanups.push(undo);
}

/**
 * What each test file hands to its own `afterEach`: bun attaches a hook to the file that runs while it is called, and
 * this module is loaded once for all of them.
 */
export async function undoAll(): Promise<void> {
  for (const undo of cleanups.splice(0).reverse()) await undo();
}

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "conductor-storage-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A storage in `path`, closed after the test. */
export function storageAt(path: string, options: Partial<StorageOptions> = {}): Storage {
  const { log } = recordedLog();
  const location = resolveLocation(path, {});
  const storage = openStorage({ location, retention: keepAll, clock: new SystemClock(), log, ...options });
  afterwards(() => storage.close());
  return storage;
}

export interface LogLine {
  level: string;
  event: string;
  fields: LogFields;
}

export function recordedLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  return { log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}

/** What opening threw; undefined when it did not. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A folder on a small file system of its own; null, with the reason printed, where mounting is not permitted. */
export function smallDisk(sizeKiB: number): string | null {
  const folder = scratchFolder();
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${sizeKiB}k`, "conductor-test", folder]);
  if (mounted.exitCode !== 0) {
    console.error(`skipped: no small disk can be mounted (${mounted.stderr.toString().trim()})`);
    return null;
  }
  afterwards(() => {
    const unmounted = Bun.spawnSync(["umount", folder]);
    if (unmounted.exitCode !== 0) throw new Error(`umount ${folder}: ${unmounted.stderr.toString()}`);
  });
  return folder;
}

/** Takes every free block. */
export function fill(folder: string): string {
  const path = join(folder, "fill");
  for (let chunk = 2 ** 20; chunk >= 512; chunk /= 2) {
    while (thrownBy(() => writeFileSync(path, new Uint8Array(chunk), { flag: "a" })) === undefined);
  }
  return path;
}

/** Starts a script of this folder in a process of its own and yields its lines; the process ends with the test. */
export function startScript(script: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, script), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  afterwards(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  return { child, lines: linesOf(child.stdout) };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
