import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { NotADatabaseError, StorageError } from "../../src/storage/errors.ts";
import { openStorageReader } from "../../src/storage/storage.ts";
import { draftAt, sampleAt } from "./rows.ts";
import { afterwards, scratchFolder, startScript, storageAt, thrownBy, undoAll } from "./scratch.ts";

afterEach(undoAll);

/** A closed, healthy database with enough rows to have a page in the middle. */
function filledDatabase(path: string): void {
  const storage = storageAt(path);
  for (let n = 0; n < 2_000; n++) storage.samples.insert(sampleAt(n));
  for (let n = 0; n < 20; n++) storage.decisions.append(draftAt(n));
  storage.close();
}

function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

const noise = (length: number) => new Uint8Array(length).map((_, index) => (index * 73 + 41) % 251);

/** Makes `path` unwritable for this user, root too where the file system knows the immutable flag. */
function makeUnwritable(path: string): boolean {
  if (process.getuid?.() !== 0) {
    const { mode } = statSync(path);
    chmodSync(path, mode & 0o555);
    afterwards(() => chmodSync(path, mode));
    return true;
  }
  const flag = (sign: string) => Bun.spawnSync(["chattr", `${sign}i`, path]).exitCode === 0;
  if (!flag("+")) {
    console.error("skipped: root, and this file system has no immutable flag");
    return false;
  }
  afterwards(() => void flag("-"));
  return true;
}

const damages: { what: string; code: string; arrange: (path: string) => void }[] = [
  {
    what: "text instead of a database",
    code: "STORAGE_NOT_A_DATABASE",
    arrange: (path) => writeFileSync(path, "platform,bytes\nvoice,12\n".repeat(400)),
  },
  {
    what: "a database whose first bytes are overwritten",
    code: "STORAGE_NOT_A_DATABASE",
    arrange: (path) => {
      filledDatabase(path);
      overwrite(path, 0, noise(64));
    },
  },
  {
    what: "a database with a page in the middle overwritten",
    code: "STORAGE_CORRUPT",
    arrange: (path) => {
      filledDatabase(path);
      const pages = statSync(path).size / 4096;
      overwrite(path, Math.floor(pages / 2) * 4096, noise(4096));
    },
  },
  {
    what: "a database cut in half",
    code: "STORAGE_CORRUPT",
    arrange: (path) => {
      filledDatabase(path);
      truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
    },
  },
  {
    what: "a directory",
    code: "STORAGE_NOT_A_FILE",
    arrange: (path) => mkdirSync(path),
  },
  {
    what: "a FIFO, which would be waited for",
    code: "STORAGE_NOT_A_FILE",
    arrange: (path) => void Bun.spawnSync(["mkfifo", path]),
  },
  {
    what: "the database of another program",
    code: "STORAGE_FOREIGN",
    arrange: (path) => {
      const other = new Database(path, { create: true });
      other.run("CREATE TABLE bookmarks (url TEXT)");
      other.close();
    },
  },
  {
    what: "a database of a newer conductor",
    code: "STORAGE_NEWER",
    arrange: (path) => {
      filledDatabase(path);
      const newer = new Database(path);
      newer.run("PRAGMA user_version = 999");
      newer.close();
    },
  },
];

describe("a database that cannot be used is one named error with its remedy", () => {
  for (const { what, code, arrange } of damages)
    test(`${what}: ${code}, and the file is left as it was`, () => {
      const path = join(scratchFolder(), "conductor.db");
      arrange(path);
      const before = statSync(path).isFile() ? readFileSync(path) : null;
      const error = thrownBy(() => storageAt(path));
      expect(error).toBeInstanceOf(StorageError);
      if (!(error instanceof StorageError)) return;
      expect(error.code).toBe(code);
      expect(error.message).toContain(path);
      expect(error.message).toContain(error.remedy);
      expect(error.message).not.toContain("\n");
      if (before !== null) expect(readFileSync(path).equals(before)).toBe(true);
    });

  test("a missing folder is named, with the command that makes it", () => {
    const folder = join(scratchFolder(), "missing");
    const error = thrownBy(() => storageAt(join(folder, "conductor.db")));
    expect(error).toMatchObject({ code: "STORAGE_FOLDER_MISSING" });
    expect(String(error)).toContain(`mkdir -p ${folder}`);
  });

  test("a path through a file is an error, not a crash", () => {
    const file = join(scratchFolder(), "file");
    writeFileSync(file, "");
    expect(thrownBy(() => storageAt(join(file, "conductor.db")))).toBeInstanceOf(StorageError);
  });

  test("a read-only file is refused at the start, not at the first write", () => {
    const path = join(scratchFolder(), "conductor.db");
    filledDatabase(path);
    if (!makeUnwritable(path)) return;
    expect(thrownBy(() => storageAt(path))).toMatchObject({ code: "STORAGE_READ_ONLY" });
  });

  test("a read-only folder is refused", () => {
    const folder = scratchFolder();
    if (!makeUnwritable(folder)) return;
    expect(thrownBy(() => storageAt(join(folder, "conductor.db")))).toMatchObject({
      code: "STORAGE_READ_ONLY",
    });
  });

  test("another program's lock is named as such", () => {
    const path = join(scratchFolder(), "conductor.db");
    filledDatabase(path);
    const other = new Database(path);
    afterwards(() => other.close());
    other.run("BEGIN IMMEDIATE");
    expect(thrownBy(() => storageAt(path))).toMatchObject({ code: "STORAGE_LOCKED", pid: null });
    other.run("ROLLBACK");
    expect(thrownBy(() => storageAt(path))).toBeUndefined();
  }, 10_000);

  test("after a refusal nothing is held: a sound file in its place opens", () => {
    const path = join(scratchFolder(), "conductor.db");
    writeFileSync(path, "no database at all, but longer than a header ".repeat(20));
    expect(thrownBy(() => storageAt(path))).toBeInstanceOf(NotADatabaseError);
    writeFileSync(path, "");
    expect(thrownBy(() => storageAt(path))).toBeUndefined();
  });

  test("a reader of a missing database is told to start the conductor once", () => {
    const path = join(scratchFolder(), "conductor.db");
    expect(thrownBy(() => openStorageReader(path))).toMatchObject({ code: "STORAGE_MISSING" });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe("one conductor a database", () => {
  test("a second one is refused with the pid of the first; readers are not; SIGKILL frees it", async () => {
    const folder = scratchFolder();
    const path = join(folder, "conductor.db");
    const { child, lines } = startScript("writer-process.ts", path, "hold");
    expect((await lines.next()).value).toBe("open");

    const refused = thrownBy(() => storageAt(path));
    expect(refused).toMatchObject({ code: "STORAGE_LOCKED", pid: child.pid });
    expect(String(refused)).toContain(`locked by pid ${child.pid}`);

    const link = join(folder, "link.db");
    symlinkSync(path, link);
    expect(thrownBy(() => storageAt(link))).toMatchObject({ code: "STORAGE_LOCKED", pid: child.pid });

    const reader = openStorageReader(path);
    expect(reader.samples.latest(1)).toEqual([]);
    reader.close();

    child.kill("SIGKILL");
    await child.exited;
    expect(thrownBy(() => storageAt(path))).toBeUndefined();
  }, 20_000);

  test("the same process is refused too, and its first lock survives the attempt", async () => {
    const path = join(scratchFolder(), "conductor.db");
    storageAt(path);
    expect(thrownBy(() => storageAt(path))).toMatchObject({ code: "STORAGE_LOCKED", pid: process.pid });
    const { child, lines } = startScript("opener-process.ts", path);
    expect((await lines.next()).value).toBe(`STORAGE_LOCKED ${process.pid}`);
    await child.exited;
  }, 20_000);
});
