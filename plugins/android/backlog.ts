/** A list bounded in count, bytes and age: what does not fit pushes the oldest out. */

export interface Kept {
  id: string;
  /** Pushes: for whom it is kept, null for whoever connects next. Messages: who sent it. */
  device: string | null;
  /** JSON. */
  text: string;
  atMs: number;
}

export interface Bounds {
  maxCount: number;
  /** Sum over the texts, in UTF-8. */
  maxBytes: number;
  maxAgeMs: number;
}

const bytesOf = (kept: Kept): number => Buffer.byteLength(kept.text);

export class Backlog {
  #kept: Kept[] = [];
  #usedBytes = 0;
  /** Ever pushed out by newer ones or grown too old. */
  dropped = 0;

  constructor(readonly bounds: Bounds) {}

  get count(): number {
    return this.#kept.length;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Keeps one; false when it is larger than all that may be kept, and then nothing was pushed out. */
  add(entry: Kept, nowMs: number): boolean {
    this.expire(nowMs);
    if (bytesOf(entry) > this.bounds.maxBytes) return false;
    this.#kept.push(entry);
    this.#usedBytes += bytesOf(entry);
    while (this.#kept.length > this.bounds.maxCount || this.#usedBytes > this.bounds.maxBytes)
      this.#dropOldest();
    return true;
  }

  /** Drops what is older than `maxAgeMs`; entries stand in order of their time. */
  expire(nowMs: number): void {
    for (;;) {
      const [oldest] = this.#kept;
      if (!oldest || nowMs - oldest.atMs <= this.bounds.maxAgeMs) return;
      this.#dropOldest();
    }
  }

  /** What is kept, oldest first. */
  list(nowMs: number): readonly Kept[] {
    this.expire(nowMs);
    return this.#kept;
  }

  has(device: string, id: string): boolean {
    return this.#kept.some((kept) => kept.device === device && kept.id === id);
  }

  /** Hands over, oldest first, what is for `device` or for anybody; what `deliver` refuses stays. */
  drain(device: string, nowMs: number, deliver: (entry: Kept) => boolean): void {
    this.expire(nowMs);
    const forIt = (entry: Kept) => entry.device === null || entry.device === device;
    this.#kept = this.#kept.filter((entry) => !forIt(entry) || !deliver(entry));
    this.#usedBytes = this.#kept.reduce((sum, entry) => sum + bytesOf(entry), 0);
  }

  clear(): void {
    this.#kept = [];
    this.#usedBytes = 0;
  }

  #dropOldest(): void {
    const oldest = this.#kept.shift();
    if (!oldest) return;
    this.#usedBytes -= bytesOf(oldest);
    this.dropped++;
  }
}
