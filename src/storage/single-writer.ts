/**
 * One conductor a database. Bun has no flock, but SQLite locks files through the kernel: an EXCLUSIVE transaction on an
 * empty database beside the real one is held for as long as the process lives and falls with it, however it dies. (The kernel's
 * lock does not keep out the process that holds it; SQLite sees to that itself.)
 * That file stays empty, so it cannot go corrupt or need disk space; readers of the real database never touch it.
 */

import { Database } from "bun:sqlite";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { asStorageError, DatabaseLockedError, DatabaseReadOnlyError, StorageError } from "./errors.ts";

/** The pid beside a lock that is held; null when it cannot be read. A stale one is never read: its lock is free. */
function holderOf(pidPath: string): number | null {
  try {
    const pid = Number(readFileSync(pidPath, "utf8"));
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    // The name of the holder is a courtesy: the lock itself has been refused already.
    return null;
  }
}

/** The right to write one database, held until `release` or the end of the process. */
export class SingleWriterLock {
  readonly #handle: Database;
  readonly #databasePath: string;
  #released = false;

  private constructor(databasePath: string, handle: Database) {
    this.#databasePath = databasePath;
    this.#handle = handle;
  }

  /**
   * Takes the right to write `databasePath` (a real path: no links). Never waits.
   * Throws DatabaseLockedError with the holder's pid, or DatabaseReadOnlyError where no lock file can be made.
   */
  static acquire(databasePath: string): SingleWriterLock {
    const pidPath = `${databasePath}.pid`;
    let handle: Database | undefined;
    try {
      handle = new Database(`${databasePath}.lock`, { create: true });
      // Taking the lock begins a first page, which is never committed; its journal is not to need the disk either.
      handle.run("PRAGMA journal_mode = MEMORY");
      handle.run("BEGIN EXCLUSIVE");
      rmSync(pidPath, { force: true });
      writePid(pidPath);
    } catch (error) {
      handle?.close();
      throw SingleWriterLock.#refusal(databasePath, pidPath, error);
    }
    return new SingleWriterLock(databasePath, handle);
  }

  static #refusal(databasePath: string, pidPath: string, error: unknown): unknown {
    const named = asStorageError(error, databasePath);
    if (!(named instanceof StorageError)) return named;
    if (named instanceof DatabaseLockedError) return new DatabaseLockedError(databasePath, holderOf(pidPath));
    // "Unable to open" the lock file in a folder that exists: the folder cannot be written.
    if (named.code === "STORAGE_IO") return new DatabaseReadOnlyError(databasePath);
    return named;
  }

  /** Gives the right back; harmless when done twice. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    rmSync(`${this.#databasePath}.pid`, { force: true });
    this.#handle.close();
  }
}

/** On a full disk the name is missing and the lock still holds. */
function writePid(pidPath: string): void {
  try {
    writeFileSync(pidPath, String(process.pid), { mode: 0o644 });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
  }
}
