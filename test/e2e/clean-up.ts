/** What a test made, undone after it: the last first, whatever became of the test. */

import { afterEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Defer = (cleanup: () => unknown) => void;

/** Call it once, at the top of a test file. */
export function cleanUpAfterEach(): Defer {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return (cleanup) => void cleanups.push(cleanup);
}

/** An empty folder that goes with the test. */
export function scratchFolder(defer: Defer): string {
  const folder = mkdtempSync(join(tmpdir(), "conductor-e2e-"));
  defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
