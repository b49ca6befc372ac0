/**
 * Room kept for bad days. On a full disk SQLite cannot even delete or checkpoint; dropping this file gives it the
 * space to do so, and to write the decisions that explain what happened.
 */

import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const chunkBytes = 65_536;
/** It is made again only where this many times its size is free, so that it does not fill the disk itself. */
const roomFactor = 4;

/** A file of `bytes` real blocks at `path`. Nothing here throws: without ballast the conductor is only less prepared. */
export class Ballast {
  constructor(
    readonly path: string,
    readonly bytes = 2 ** 20,
  ) {}

  get present(): boolean {
    return this.#heldBytes() === this.bytes;
  }

  /** Makes the file unless it is there or room is short; true when it is there afterwards. */
  ensure(): boolean {
    if (this.present) return true;
    try {
      const { bavail, bsize } = statfsSync(dirname(this.path));
      if (bavail * bsize < this.bytes * roomFactor) return false;
      this.#fill();
      return true;
    } catch {
      // Half a ballast would be taken for a whole one by nobody (its size differs), but it eats the room.
      this.release();
      return false;
    }
  }

  /** Deletes the file; true when that gave space back. */
  release(): boolean {
    const held = this.#heldBytes();
    try {
      rmSync(this.path, { force: true });
    } catch {
      // A folder turned read-only: there is no room to win, which is what false says.
      return false;
    }
    return held > 0;
  }

  #heldBytes(): number {
    return existsSync(this.path) ? (statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) : 0;
  }

  #fill(): void {
    const file = openSync(this.path, "w", 0o600);
    try {
      // Random bytes: zeros would take no room on a file system that compresses.
      const chunk = new Uint8Array(chunkBytes);
      for (let written = 0; written < this.bytes; written += chunkBytes) {
        crypto.getRandomValues(chunk);
        writeSync(file, chunk, 0, Math.min(chunkBytes, this.bytes - written));
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}
