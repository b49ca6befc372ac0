/** Opens, checks and closes the SQLite file; runs transactions with the durability that their content deserves. */

import { Database, type Statement } from "bun:sqlite";
import { closeSync, existsSync, openSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../clock.ts";
import { Ballast } from "./ballast.ts";
import {
  asStorageError,
  DatabaseIoError,
  DatabaseMissingError,
  DiskFullError,
  FolderMissingError,
  ForeignDatabaseError,
  NewerDatabaseError,
  NotARegularFileError,
} from "./errors.ts";
import { checkIntegrity, type IntegrityReport } from "./integrity.ts";
import { applicationId, type Migration, migrate, migrations, pragmaNumber } from "./migrations.ts";
import { SingleWriterLock } from "./single-writer.ts";

/**
 * `powerCut`: on disk when the transaction returns (synchronous=FULL, one fsync, 140 us measured). `crash`: survives the
 * end of this process, a power cut may take the newest (NORMAL, 20 us). One connection with the pragma changed per
 * transaction: that costs 1.2 us and saves the page cache of a second connection.
 */
export type Durability = "powerCut" | "crash";

/** At start another program's short lock is waited for; while running the loop is not to stall. SQLite's default is 0. */
const openBusyTimeoutMs = 2_000;
const runningBusyTimeoutMs = 100;
/** Pages cached, instead of SQLite's 2 MB: the queries here walk ranges, and the whole process has 50 MB. */
const cacheKiB = 1_024;
/** The log file shrinks back to this after a checkpoint. */
const walLimitBytes = 4 * 2 ** 20;

const regularOnly = (path: string): boolean => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return stat !== undefined;
  // Opening a FIFO would wait for its other end for ever.
  const kind = stat.isDirectory()
    ? "directory"
    : stat.isFIFO()
      ? "FIFO"
      : stat.isSocket()
        ? "socket"
        : "device";
  throw new NotARegularFileError(path, kind);
};

const inodeOf = (path: string): number | null => (existsSync(path) ? statSync(path).ino : null);

/** The path without links, so that two names of one file meet the same lock. */
function realPathOf(path: string): string {
  if (regularOnly(path)) return realpathSync(path);
  const folder = dirname(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) throw new FolderMissingError(path, folder);
  return join(realpathSync(folder), basename(path));
}

/** Runs `open`, and turns what SQLite or the file system throws into the named error. */
function named<Result>(path: string, open: () => Result): Result {
  try {
    return open();
  } catch (error) {
    throw asStorageError(error, path);
  }
}

/** Refuses a file that is another program's or a newer conductor's, before anything is written to it. */
function refuseForeign(handle: Database, path: string, knownVersion: number): void {
  const id = pragmaNumber(handle, "application_id");
  const version = pragmaNumber(handle, "user_version");
  const objects = handle.query("SELECT count(*) FROM sqlite_schema").values()[0]?.[0];
  const empty = id === 0 && version === 0 && objects === 0;
  if (!empty && id !== applicationId) throw new ForeignDatabaseError(path, id);
  if (version > knownVersion) throw new NewerDatabaseError(path, version, knownVersion);
}

const busy = (handle: Database, timeoutMs: number) => handle.run(`PRAGMA busy_timeout = ${timeoutMs}`);

/** auto_vacuum has to be chosen before the first table; it lets retention give space back page by page. */
function prepareConnection(handle: Database): string {
  handle.run("PRAGMA auto_vacuum = INCREMENTAL");
  const mode = String(handle.query("PRAGMA journal_mode = WAL").values()[0]?.[0]);
  handle.run("PRAGMA synchronous = NORMAL");
  handle.run("PRAGMA foreign_keys = ON");
  handle.run(`PRAGMA cache_size = -${cacheKiB}`);
  handle.run(`PRAGMA journal_size_limit = ${walLimitBytes}`);
  // A sort on a full /tmp must not fail; what is sorted here is small.
  handle.run("PRAGMA temp_store = MEMORY");
  handle.run("PRAGMA cell_size_check = ON");
  return mode;
}

/** Shows that the file takes writes: a read-only file opens without complaint. */
function proveWritable(handle: Database, nowMs: number): void {
  handle.run("BEGIN IMMEDIATE");
  try {
    handle.run("INSERT OR REPLACE INTO meta VALUES ('last_opened_ms', ?)", [String(nowMs)]);
    handle.run("COMMIT");
  } finally {
    if (handle.inTransaction) handle.run("ROLLBACK");
  }
}

export interface OpenOptions {
  clock: Clock;
  /** Where the disk is full, the ballast of an earlier run is given up for the start. */
  steps?: readonly Migration[];
}

/** One open database. All of it is synchronous: a statement is done when the call returns. */
export class ConductorDatabase {
  readonly #statements: Statement[] = [];
  #synchronous: Durability = "crash";
  #closed = false;
  readonly #inode: number | null;

  private constructor(
    /** Null in memory. */
    readonly path: string | null,
    readonly handle: Database,
    /** "wal", or what the file system allows instead; "memory" in memory. */
    readonly journalMode: string,
    readonly integrity: IntegrityReport,
    readonly writable: boolean,
    /** Null in memory and for a reader. */
    readonly ballast: Ballast | null,
    private readonly lock: SingleWriterLock | null,
  ) {
    this.#inode = path === null ? null : inodeOf(path);
  }

  /** An empty database that ends with the process. */
  static inMemory(): ConductorDatabase {
    const handle = new Database(":memory:", { strict: true });
    const mode = prepareConnection(handle);
    migrate(handle, ":memory:");
    return new ConductorDatabase(
      null,
      handle,
      mode,
      { checkedBytes: 0, uncheckedTables: [] },
      true,
      null,
      null,
    );
  }

  /** Opens `path` to write, alone; creates or upgrades it. Throws a StorageError for whatever is wrong with it. */
  static open(path: string, options: OpenOptions): ConductorDatabase {
    const real = named(path, () => realPathOf(path));
    const ballast = new Ballast(`${real}.ballast`);
    const lock = SingleWriterLock.acquire(real);
    try {
      return ConductorDatabase.#openLocked(real, lock, ballast, options);
    } catch (error) {
      if (!(error instanceof DiskFullError) || !ballast.release()) {
        lock.release();
        throw error;
      }
    }
    try {
      return ConductorDatabase.#openLocked(real, lock, ballast, options);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  static #openLocked(
    path: string,
    lock: SingleWriterLock,
    ballast: Ballast,
    options: OpenOptions,
  ): ConductorDatabase {
    let handle: Database | undefined;
    try {
      // Made here, since SQLite would let everyone read it; its -wal and -shm take the same mode.
      if (!regularOnly(path)) closeSync(openSync(path, "wx", 0o600));
      handle = new Database(path, { strict: true, readwrite: true });
      busy(handle, openBusyTimeoutMs);
      const steps = options.steps ?? migrations;
      refuseForeign(handle, path, steps.length);
      const integrity = checkIntegrity(handle, path, () => options.clock.monotonicMs());
      const mode = prepareConnection(handle);
      migrate(handle, path, steps);
      proveWritable(handle, options.clock.nowMs());
      busy(handle, runningBusyTimeoutMs);
      return new ConductorDatabase(path, handle, mode, integrity, true, ballast, lock);
    } catch (error) {
      handle?.close();
      throw asStorageError(error, path);
    }
  }

  /** Opens `path` to read beside a running conductor, for a command. Throws a StorageError. */
  static openReader(path: string): ConductorDatabase {
    let handle: Database | undefined;
    try {
      if (!regularOnly(path)) throw new DatabaseMissingError(path);
      handle = new Database(path, { strict: true, readonly: true });
      busy(handle, openBusyTimeoutMs);
      refuseForeign(handle, path, migrations.length);
      const found = pragmaNumber(handle, "user_version");
      if (found < migrations.length)
        throw new DatabaseMissingError(
          path,
          `the database ${path} is of an older conductor (schema ${found})`,
        );
      const unchecked = { checkedBytes: 0, uncheckedTables: [] };
      return new ConductorDatabase(path, handle, "wal", unchecked, false, null, null);
    } catch (error) {
      handle?.close();
      throw asStorageError(error, path);
    }
  }

  get label(): string {
    return this.path ?? ":memory:";
  }

  /** A statement for a repository to keep for its whole life; it ends with the database. */
  prepare(sql: string): Statement {
    const statement = named(this.label, () => this.handle.prepare(sql));
    this.#statements.push(statement);
    return statement;
  }

  /** Runs a query; throws the named StorageError where SQLite throws. */
  read<Result>(query: () => Result): Result {
    this.#refuseClosed();
    return named(this.label, query);
  }

  /** True when the file was deleted or replaced under the open database: what is written since then ends with the process. */
  fileIsGone(): boolean {
    return this.path !== null && this.#inode !== inodeOf(this.path);
  }

  /** A write that comes after the end is a failed write, not a crash of the shutdown. */
  #refuseClosed(): void {
    if (this.#closed) throw new DatabaseIoError(this.label, "it is closed");
  }

  /** Runs `write` in one transaction: all of it is there afterwards, or, when this throws a StorageError, none. */
  transaction<Result>(durability: Durability, write: () => Result): Result {
    this.#refuseClosed();
    if (this.handle.inTransaction) throw new Error("transactions do not nest");
    try {
      this.#setSynchronous(durability);
      this.handle.run("BEGIN IMMEDIATE");
      const result = write();
      this.handle.run("COMMIT");
      return result;
    } catch (error) {
      // On a full disk SQLite may have rolled back already.
      if (this.handle.inTransaction) this.handle.run("ROLLBACK");
      throw asStorageError(error, this.label);
    }
  }

  #setSynchronous(durability: Durability): void {
    if (this.#synchronous === durability) return;
    this.handle.run(`PRAGMA synchronous = ${durability === "powerCut" ? "FULL" : "NORMAL"}`);
    this.#synchronous = durability;
  }

  /** Writes the log back into the file and lets go of it. The second time it does nothing. Never throws: what a full disk
   * leaves in the -wal file is read from there at the next start; the reason is returned, null when all went well. */
  close(): string | null {
    if (this.#closed) return null;
    this.#closed = true;
    let problem: string | null = null;
    try {
      if (this.writable && this.path !== null) {
        this.handle.run("PRAGMA analysis_limit = 400");
        this.handle.run("PRAGMA optimize");
        this.handle.run("PRAGMA wal_checkpoint(TRUNCATE)");
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    // With a statement alive, SQLite keeps the file open, and its locks, until the garbage collector comes by.
    for (const statement of this.#statements) statement.finalize();
    this.handle.close();
    this.lock?.release();
    return problem;
  }
}
