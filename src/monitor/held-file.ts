/** A small file that is read again and again: it stays open, since opening it costs more than reading it. */

import { closeSync, openSync, readSync } from "node:fs";

/** Files longer than this are cut; those of /proc and of cgroups that are read so hold 1 to 4 KB. */
const mostBytes = 16_384;

/** One for all: a read is parsed before the next one begins. */
const buffer = Buffer.alloc(mostBytes);

export class HeldFile {
  #descriptor: number | null = null;

  constructor(readonly path: string) {}

  /**
   * What `parse` makes of the first `length` bytes; they are overwritten by the next read of any held file. A file that
   * was opened before and cannot be read any more (a cgroup that was removed and made again) is opened once more.
   * Throws what the system says when that fails too.
   */
  read<T>(parse: (bytes: Buffer, length: number) => T): T {
    const held = this.#descriptor;
    let length: number;
    try {
      length = this.#fill(held ?? this.#open());
    } catch (error) {
      this.close();
      if (held === null) throw error;
      length = this.#fill(this.#open());
    }
    return parse(buffer, length);
  }

  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = null;
    if (descriptor !== null) closeSync(descriptor);
  }

  #open(): number {
    this.#descriptor = openSync(this.path, "r");
    return this.#descriptor;
  }

  #fill(descriptor: number): number {
    return readSync(descriptor, buffer, 0, mostBytes, 0);
  }
}
