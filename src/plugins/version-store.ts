/**
 * Versions of plugins that proved themselves, by the hash of their content, to go back to.
 *
 *   FOLDER/NAME/HASH/     a copy of the plugin's folder, without what it writes itself
 *   FOLDER/pins.json      which of them runs in place of which content
 */

import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { copyContent } from "./content-copy.ts";
import { contentHash } from "./content-hash.ts";
import { type Stored, type VersionPin, VersionPins } from "./version-pins.ts";

export type { VersionPin } from "./version-pins.ts";

/** Most kept versions of one plugin; one in use is kept beyond that. */
const mostVersions = 3;

const hashPattern = /^[0-9a-f]{64}$/;
const namePattern = /^[a-z][a-z0-9-]{0,63}$/;

export interface KeptVersion {
  hash: string;
  folder: string;
  /** When it was kept last, milliseconds since the epoch. */
  keptMs: number;
}

export type Kept = { ok: true; folder: string } | { ok: false; problem: string };

export interface KeepOptions {
  /** Folders of `permissions.write`. */
  exclude: readonly string[];
  /** Hashes that run now or are pinned: never removed. */
  inUse: ReadonlySet<string>;
  nowMs: number;
}

/** What cannot be removed only takes up room, and is tried again when the next version is kept. */
const later = (): void => undefined;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Nothing here throws or rejects: what cannot be done is in the result, and what was there before still is. */
export class VersionStore {
  readonly #folder: string;
  readonly #pins: VersionPins;
  #keeping: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
    this.#pins = new VersionPins(join(folder, "pins.json"));
  }

  /**
   * Keeps the content of `folder`, whose hash is `hash`. The copy is there as a whole or not at all; when the content is
   * another one by then, it is not kept. Removes the oldest version over the limit.
   */
  keep(name: string, folder: string, hash: string, options: KeepOptions): Promise<Kept> {
    // One after the other, so that none removes what another is copying.
    const kept = this.#keeping.then(() => this.#keep(name, folder, hash, options));
    this.#keeping = kept;
    return kept;
  }

  async #keep(name: string, folder: string, hash: string, options: KeepOptions): Promise<Kept> {
    const { exclude, inUse, nowMs } = options;
    if (!namePattern.test(name) || !hashPattern.test(hash))
      return { ok: false, problem: `${name} ${hash}: expected a plugin's name and 64 hex digits` };
    const target = join(this.#folder, name, hash);
    const known = await this.folderOf(name, hash, exclude);
    const unfinished = join(this.#folder, name, `.new-${hash}`);
    try {
      if (!known.ok) {
        mkdirSync(join(this.#folder, name), { recursive: true, mode: 0o755 });
        this.#removeUnfinished(name);
        await copyContent(folder, unfinished, exclude);
        const copied = await contentHash(unfinished, { exclude });
        if (!copied.ok || copied.hash !== hash)
          throw new Error(copied.ok ? `the content changed meanwhile: it is ${copied.hash}` : copied.message);
        if (copied.linkOut !== null)
          throw new Error(`${copied.linkOut} is a link out of the plugin's folder`);
        rmSync(target, { recursive: true, force: true });
        renameSync(unfinished, target);
      }
      utimesSync(target, nowMs / 1_000, nowMs / 1_000);
    } catch (error) {
      this.#remove(unfinished);
      return { ok: false, problem: `${name} ${hash.slice(0, 12)} cannot be kept: ${messageOf(error)}` };
    }
    // Thousands of files in one go would hold up requests.
    for (const old of this.list(name).slice(mostVersions))
      if (!this.#isUsed(name, old, inUse))
        await rm(old.folder, { recursive: true, force: true }).catch(later);
    return { ok: true, folder: target };
  }

  /** Copies that an end of the program cut short. */
  #removeUnfinished(name: string): void {
    const parent = join(this.#folder, name);
    for (const entry of readdirSync(parent)) if (entry.startsWith(".new-")) this.#remove(join(parent, entry));
  }

  #isUsed(name: string, { hash }: KeptVersion, inUse: ReadonlySet<string>): boolean {
    return inUse.has(hash) || this.#pins.get(name)?.use === hash;
  }

  /** What cannot be removed is tried again when the next version is kept. */
  #remove(folder: string): boolean {
    try {
      rmSync(folder, { recursive: true, force: true });
      return true;
    } catch {
      return false; // It only takes up room.
    }
  }

  /** The kept versions of a plugin, the newest first. */
  list(name: string): KeptVersion[] {
    if (!namePattern.test(name)) return [];
    const parent = join(this.#folder, name);
    try {
      return readdirSync(parent)
        .filter((hash) => hashPattern.test(hash))
        .map((hash) => ({ hash, folder: join(parent, hash), keptMs: lstatSync(join(parent, hash)).mtimeMs }))
        .sort((a, b) => b.keptMs - a.keptMs || (a.hash < b.hash ? -1 : 1));
    } catch {
      return []; // None was kept yet, or none can be reached: both mean that there is none to go back to.
    }
  }

  /** Where a kept version lies, once its content is read and proves to be what it is called. */
  async folderOf(name: string, hash: string, exclude: readonly string[]): Promise<Kept> {
    const found = this.list(name).find((version) => version.hash === hash);
    const title = `${name} ${hash.slice(0, 12)}`;
    if (!found) return { ok: false, problem: `${title}: no such version is kept` };
    const content = await contentHash(found.folder, { exclude });
    if (!content.ok) return { ok: false, problem: `${title}: ${content.message}` };
    if (content.hash === hash) return { ok: true, folder: found.folder };
    return {
      ok: false,
      problem: `${title}: the kept copy was changed: it is ${content.hash.slice(0, 12)} now`,
    };
  }

  /** From now on, `use` runs while the plugin's folder holds `insteadOf`. */
  pin(name: string, pin: VersionPin): Stored {
    if (!namePattern.test(name) || !hashPattern.test(pin.use) || !hashPattern.test(pin.insteadOf))
      return { ok: false, problem: `${name}: expected a plugin's name and two hashes of 64 hex digits` };
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
    } catch (error) {
      return { ok: false, problem: `${this.#folder}: cannot be made: ${messageOf(error)}` };
    }
    return this.#pins.set(name, pin);
  }

  /** The pin of a plugin; null when there is none. It holds only while the folder's content is `insteadOf`. */
  pinned(name: string): VersionPin | null {
    return this.#pins.get(name);
  }

  unpin(name: string): Stored {
    return this.#pins.set(name, null);
  }

  /** Removes all that is kept of a plugin that is no more, and its pin. */
  forget(name: string): Stored {
    if (!namePattern.test(name)) return { ok: false, problem: `${name}: expected a plugin's name` };
    const parent = join(this.#folder, name);
    if (!this.#remove(parent)) return { ok: false, problem: `${parent}: cannot be removed` };
    return this.#pins.set(name, null);
  }

  /** Why earlier pins are not known any more, for the log; null when they are. */
  get damage(): string | null {
    return this.#pins.damage;
  }
}
