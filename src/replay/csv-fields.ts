/** The fields of a line of CSV, in place: no text is made of those that nobody reads. */

const comma = 44;
const quote = 34;
const space = 32;

/** Why a line is no CSV. */
export type FieldProblem = "unclosed-quote" | "text-after-quote";

/** Where each field of the line begins and ends in the bytes, its quotes left out. Reused for every line. */
export class Fields {
  #starts = new Int32Array(16);
  #ends = new Int32Array(16);
  count = 0;
  /** A place in the line that the last `split` could not read; its field is number `count`. */
  problem: FieldProblem | null = null;

  start(field: number): number {
    return this.#starts[field] as number;
  }

  end(field: number): number {
    return this.#ends[field] as number;
  }

  /** Finds the fields of the line from `start` up to `end`; false when `problem` says why there are none. */
  split(bytes: Uint8Array, start: number, end: number): boolean {
    this.count = 0;
    this.problem = null;
    let at = start;
    for (;;) {
      if (bytes[at] === quote && at < end) at = this.#quoted(bytes, at + 1, end);
      else {
        const begin = at;
        while (at < end && bytes[at] !== comma) at++;
        this.#add(begin, at);
      }
      if (this.problem !== null) return false;
      if (at >= end) return true;
      at++;
    }
  }

  /** A field after its opening quote; two quotes are one in it. Yields where the comma after it is, or the end. */
  #quoted(bytes: Uint8Array, begin: number, end: number): number {
    let at = begin;
    while (at < end && (bytes[at] !== quote || (at + 1 < end && bytes[at + 1] === quote)))
      at += bytes[at] === quote ? 2 : 1;
    if (at >= end) {
      this.problem = "unclosed-quote";
      return end;
    }
    const close = at++;
    while (at < end && bytes[at] === space) at++;
    if (at < end && bytes[at] !== comma) {
      this.problem = "text-after-quote";
      return end;
    }
    this.#add(begin, close);
    return at;
  }

  #add(start: number, end: number): void {
    if (this.count === this.#starts.length) {
      this.#starts = grown(this.#starts);
      this.#ends = grown(this.#ends);
    }
    this.#starts[this.count] = start;
    this.#ends[this.count++] = end;
  }
}

function grown(old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(old.length * 2);
  larger.set(old);
  return larger;
}

const decoder = new TextDecoder();

/** The text of a field, without spaces around it and with doubled quotes as one. */
export function fieldText(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end)).trim().replaceAll('""', '"');
}
