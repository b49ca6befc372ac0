/** Everything that can be wrong with the database, each with a code, one line for a person, and what to do next. */

import { SQLiteError } from "bun:sqlite";
import { statSync } from "node:fs";
import { dirname } from "node:path";

/** A problem with the database at `path`. `message` is `problem` and `remedy` in one line. */
export class StorageError extends Error {
  constructor(
    override readonly name: string,
    readonly code: string,
    readonly path: string,
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(`${problem}: ${remedy}`);
  }
}

export class DatabaseCorruptError extends StorageError {
  constructor(path: string, detail: string) {
    super(
      "DatabaseCorruptError",
      "STORAGE_CORRUPT",
      path,
      `the database ${path} is corrupt (${detail.replace(/\s+/g, " ").slice(0, 200)})`,
      `move it away and start again (mv ${path} ${path}.corrupt), or save what is left with sqlite3 ${path} .recover`,
    );
  }
}

export class NotADatabaseError extends StorageError {
  constructor(path: string, detail: string) {
    super(
      "NotADatabaseError",
      "STORAGE_NOT_A_DATABASE",
      path,
      `${path} is no SQLite database (${detail})`,
      "set storage.path to another file, or move this one away",
    );
  }
}

export class ForeignDatabaseError extends StorageError {
  constructor(path: string, applicationId: number) {
    super(
      "ForeignDatabaseError",
      "STORAGE_FOREIGN",
      path,
      `${path} is the database of another program (application_id ${applicationId})`,
      "set storage.path to a file of conductor's own; nothing was changed",
    );
  }
}

export class NewerDatabaseError extends StorageError {
  constructor(path: string, found: number, known: number) {
    super(
      "NewerDatabaseError",
      "STORAGE_NEWER",
      path,
      `the database ${path} was written by a newer conductor (schema ${found}, this one knows ${known})`,
      "run that newer conductor, or set storage.path to another file; nothing was changed",
    );
  }
}

/** A migration that failed; it was rolled back, the database is as it was. */
export class MigrationError extends StorageError {
  constructor(path: string, migration: string, detail: string) {
    super(
      "MigrationError",
      "STORAGE_MIGRATION",
      path,
      `the database ${path} could not be brought up to date (${migration}: ${detail})`,
      `nothing was changed; run the conductor that wrote it, or move it away (mv ${path} ${path}.old)`,
    );
  }
}

/** `pid` is the conductor that holds the database; null when it is another program's lock, or the holder is unknown. */
export class DatabaseLockedError extends StorageError {
  constructor(
    path: string,
    readonly pid: number | null,
  ) {
    super(
      "DatabaseLockedError",
      "STORAGE_LOCKED",
      path,
      pid === null
        ? `the database ${path} is locked by another program`
        : `the database ${path} is locked by pid ${pid}, another conductor`,
      pid === null
        ? `end what holds it (see: fuser ${path}), or set storage.path to another file`
        : `stop it (kill ${pid}), or set storage.path to another file`,
    );
  }
}

export class DatabaseReadOnlyError extends StorageError {
  constructor(path: string) {
    super(
      "DatabaseReadOnlyError",
      "STORAGE_READ_ONLY",
      path,
      `the database ${path} cannot be written`,
      `let this user write the file and its folder ${dirname(path)}, or set storage.path to another file`,
    );
  }
}

export class DiskFullError extends StorageError {
  constructor(path: string) {
    super(
      "DiskFullError",
      "STORAGE_DISK_FULL",
      path,
      `the disk that holds the database ${path} is full`,
      `free some space (see: df ${dirname(path)}), or set storage.path to a file on another disk`,
    );
  }
}

export class NotARegularFileError extends StorageError {
  constructor(path: string, kind: string) {
    super(
      "NotARegularFileError",
      "STORAGE_NOT_A_FILE",
      path,
      `the database path ${path} is a ${kind}`,
      kind === "directory"
        ? `name a file in it, such as storage.path: ${path}/conductor.db`
        : "set storage.path to a regular file",
    );
  }
}

export class FolderMissingError extends StorageError {
  constructor(path: string, folder: string) {
    super(
      "FolderMissingError",
      "STORAGE_FOLDER_MISSING",
      path,
      `the folder ${folder} of the database ${path} does not exist`,
      `create it (mkdir -p ${folder}), or set storage.path to another file`,
    );
  }
}

/** A reader found no database, or one that only a writer may bring up to date. */
export class DatabaseMissingError extends StorageError {
  constructor(path: string, problem = `there is no database ${path}`) {
    super(
      "DatabaseMissingError",
      "STORAGE_MISSING",
      path,
      problem,
      "start conductor serve once, or name the file with storage.path",
    );
  }
}

/** The operating system refused: an IO error, no permission, a limit. */
export class DatabaseIoError extends StorageError {
  constructor(path: string, detail: string) {
    super(
      "DatabaseIoError",
      "STORAGE_IO",
      path,
      `the database ${path} cannot be used (${detail})`,
      "see the kernel's log for disk errors and the permissions of the file and its folder",
    );
  }
}

/** SQLite refused one row (a constraint, a value too big). The row is at fault, not the file. */
export class RowRefusedError extends StorageError {
  constructor(path: string, detail: string) {
    super(
      "RowRefusedError",
      "STORAGE_ROW_REFUSED",
      path,
      `the database ${path} refused a row (${detail})`,
      "the row was dropped; this is a fault in conductor, please report it",
    );
  }
}

const errnoOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** Why SQLite could not open `path`: it says "unable to open" for a folder, a missing folder and a lack of rights. */
function whyUnopenable(path: string, detail: string): StorageError {
  const folder = dirname(path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return new NotARegularFileError(path, "directory");
  if (!statSync(folder, { throwIfNoEntry: false })) return new FolderMissingError(path, folder);
  return new DatabaseIoError(path, detail);
}

/**
 * The named error for what SQLite or the file system threw about `path`.
 * A StorageError passes unchanged; what is neither is returned as it is: a fault of the program, to be thrown.
 */
export function asStorageError(error: unknown, path: string): unknown {
  if (error instanceof StorageError) return error;
  const code = errnoOf(error);
  const detail = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC" || code === "EDQUOT") return new DiskFullError(path);
  if (code === "EROFS" || code === "EACCES" || code === "EPERM") return new DatabaseReadOnlyError(path);
  if (!(error instanceof SQLiteError))
    return error instanceof Error && "syscall" in error ? new DatabaseIoError(path, detail) : error;
  if (code.startsWith("SQLITE_CORRUPT")) return new DatabaseCorruptError(path, detail);
  if (code.startsWith("SQLITE_NOTADB")) return new NotADatabaseError(path, detail);
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return new DatabaseLockedError(path, null);
  if (code.startsWith("SQLITE_READONLY") || code === "SQLITE_PERM") return new DatabaseReadOnlyError(path);
  // The -shm file is grown before the -wal file: on a full disk that fails first, under its own code.
  if (code.startsWith("SQLITE_FULL") || code === "SQLITE_IOERR_SHMSIZE") return new DiskFullError(path);
  if (code.startsWith("SQLITE_CANTOPEN")) return whyUnopenable(path, detail);
  if (/^SQLITE_(CONSTRAINT|TOOBIG|MISMATCH|RANGE)/.test(code)) return new RowRefusedError(path, detail);
  return new DatabaseIoError(path, `${detail}, ${code}`);
}
