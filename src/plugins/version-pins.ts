/** Which kept version runs in place of which content: what a rollback decided, so that it holds after a restart. */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import * as z from "zod";
import { pluginName } from "../config/quantities.ts";
import { lookAt, readBounded } from "./manifest-text.ts";

/** `use` runs as long as the plugin's folder holds `insteadOf`; both are content hashes. */
export interface VersionPin {
  use: string;
  insteadOf: string;
}

const mostPins = 10_000;
const mostFileBytes = 4 * 2 ** 20;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const schema = z.record(pluginName, z.strictObject({ use: hash, insteadOf: hash }));

/** `problem` is a sentence for a person. */
export type Stored = { ok: true } | { ok: false; problem: string };

/** Pins in one small JSON file, replaced as a whole. */
export class VersionPins {
  readonly #file: string;
  #pins: Map<string, VersionPin> | null = null;
  /** Why the file could not be read; null: it could, or there is none. */
  #damage: string | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  /** Why pins that once were made are not known any more; null when all are. */
  get damage(): string | null {
    this.#load();
    return this.#damage;
  }

  get(plugin: string): VersionPin | null {
    return this.#load().get(plugin) ?? null;
  }

  /** What could not be written does not hold: neither now nor after a restart. */
  set(plugin: string, pin: VersionPin | null): Stored {
    const pins = this.#load();
    const next = new Map(pins);
    if (pin) next.set(plugin, pin);
    else if (!next.delete(plugin)) return { ok: true };
    if (next.size > mostPins)
      return { ok: false, problem: `${this.#file}: expected at most ${mostPins} pins` };
    const stored = this.#write(next);
    if (stored.ok) this.#pins = next;
    return stored;
  }

  #load(): Map<string, VersionPin> {
    this.#pins ??= this.#read();
    return this.#pins;
  }

  #read(): Map<string, VersionPin> {
    if (lookAt(this.#file).kind === "absent") return new Map();
    const read = readBounded(this.#file, mostFileBytes);
    if ("problem" in read) {
      this.#damage = `${read.problem}; at the next change it is kept as ${this.#file}.damaged`;
      return new Map();
    }
    try {
      return new Map(Object.entries(schema.parse(JSON.parse(new TextDecoder().decode(read.bytes)))));
    } catch (error) {
      const reason = error instanceof z.ZodError ? "not what this program wrote" : String(error);
      this.#damage = `${this.#file}: damaged (${reason}); at the next change it is kept as ${this.#file}.damaged`;
      return new Map();
    }
  }

  #write(pins: ReadonlyMap<string, VersionPin>): Stored {
    const unfinished = `${this.#file}.new`;
    try {
      // What nobody could read is kept for a person, and not overwritten.
      if (this.#damage !== null) renameSync(this.#file, `${this.#file}.damaged`);
      this.#damage = null;
      rmSync(unfinished, { force: true });
      const file = openSync(unfinished, "wx", 0o600);
      try {
        const bytes = new TextEncoder().encode(`${JSON.stringify(Object.fromEntries(pins), null, 2)}\n`);
        for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(unfinished, this.#file);
      return { ok: true };
    } catch (error) {
      return {
        ok: false,
        problem: `${this.#file}: cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  }
}
