/** Databases to tamper with, and what looking through their chain says. */

import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { ChainReport } from "../../src/storage/chain-report.ts";
import { openStorageReader } from "../../src/storage/storage.ts";
import { scratchFolder } from "./scratch.ts";

export const fresh = () => join(scratchFolder(), "conductor.db");

export function verified(path: string, expected: string | null = null): ChainReport {
  const reader = openStorageReader(path);
  try {
    return reader.chain.verify(expected);
  } finally {
    reader.close();
  }
}

export function tamper(path: string, ...statements: string[]): void {
  const raw = new Database(path);
  for (const sql of statements) raw.run(sql);
  raw.close();
}
