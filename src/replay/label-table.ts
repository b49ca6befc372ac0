/** Finds what belongs to two labels by their bytes, without making text of them: a row costs some 30 ns. */

interface Entry<T> {
  readonly bytes: Uint8Array;
  readonly firstBytes: number;
  readonly value: T;
}

/** Where two labels lie in the bytes of a row; an absent one is empty. */
export interface Labels {
  firstStart: number;
  firstEnd: number;
  secondStart: number;
  secondEnd: number;
}

export class LabelTable<T> {
  readonly #byHash = new Map<number, Entry<T>[]>();

  /** What was put under these very bytes. */
  get(row: Uint8Array, labels: Labels): T | undefined {
    const entries = this.#byHash.get(hash(row, labels));
    if (entries === undefined) return undefined;
    for (const entry of entries) if (matches(entry, row, labels)) return entry.value;
    return undefined;
  }

  put(row: Uint8Array, labels: Labels, value: T): void {
    const { firstStart, firstEnd, secondStart, secondEnd } = labels;
    const bytes = Uint8Array.from([
      ...row.subarray(firstStart, firstEnd),
      ...row.subarray(secondStart, secondEnd),
    ]);
    const entry = { bytes, firstBytes: firstEnd - firstStart, value };
    const key = hash(row, labels);
    const entries = this.#byHash.get(key);
    if (entries === undefined) this.#byHash.set(key, [entry]);
    else entries.push(entry);
  }
}

/** FNV-1a of both labels. */
function hash(row: Uint8Array, { firstStart, firstEnd, secondStart, secondEnd }: Labels): number {
  let h = 0x811c9dc5;
  for (let at = firstStart; at < firstEnd; at++) h = Math.imul(h ^ (row[at] as number), 0x01000193);
  h = Math.imul(h ^ 0x100, 0x01000193);
  for (let at = secondStart; at < secondEnd; at++) h = Math.imul(h ^ (row[at] as number), 0x01000193);
  return h;
}

function matches<T>({ bytes, firstBytes }: Entry<T>, row: Uint8Array, labels: Labels): boolean {
  const { firstStart, firstEnd, secondStart, secondEnd } = labels;
  if (firstEnd - firstStart !== firstBytes || secondEnd - secondStart !== bytes.length - firstBytes)
    return false;
  let place = 0;
  for (let at = firstStart; at < firstEnd; at++) if (bytes[place++] !== row[at]) return false;
  for (let at = secondStart; at < secondEnd; at++) if (bytes[place++] !== row[at]) return false;
  return true;
}
