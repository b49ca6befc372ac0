/** What files say, parsed once for every state of each. */

import { type FileState, lookAt, readManifestText, sameState } from "./manifest-text.ts";
import { ScanCache } from "./scan-cache.ts";

export type ParsedFile<T> =
  | { kind: "absent" }
  | { kind: "problem"; problem: string }
  /** `hash`: SHA-256 of the text, 64 hex digits. */
  | { kind: "parsed"; value: T; hash: string };

/** A cache by path, modification time (ns), length and inode. It holds what the last scan asked for. */
export class ParsedFiles<T> {
  readonly #cache = new ScanCache<{ state: FileState; parsed: ParsedFile<T> }>();

  constructor(
    readonly mostBytes: number,
    readonly parse: (text: string, file: string) => T | Promise<T>,
  ) {}

  async read(file: string): Promise<ParsedFile<T>> {
    const look = lookAt(file);
    if (look.kind !== "file") return look;
    let known = this.#cache.get(file);
    if (!known || !sameState(known.state, look.state))
      known = { state: look.state, parsed: await this.#parse(file) };
    // What could not be read is tried again: that may need no change of the file.
    if (known.parsed.kind === "parsed") this.#cache.set(file, known);
    return known.parsed;
  }

  async #parse(file: string): Promise<ParsedFile<T>> {
    const read = readManifestText(file, this.mostBytes);
    if ("problem" in read) return { kind: "problem", problem: read.problem };
    const hash = new Bun.CryptoHasher("sha256").update(read.text).digest("hex");
    return { kind: "parsed", value: await this.parse(read.text, file), hash };
  }

  endScan(): void {
    this.#cache.endScan();
  }
}
