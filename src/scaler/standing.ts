/**
 * What is wished, or differs, reading after reading, told as few things with a beginning and an end. Deterministic: time is
 * told.
 *
 *   nothing --- a key --> it stands: begins
 *     ^                     |  another key: the last ends, this begins; one that was here before only stands again
 *     +--- none for 5 s ----+  all end
 *
 * So what flickers at a line twenty times a second is one thing, and a trouble makes at most 32.
 */

/** Gone for so long, it is over. */
const settleMs = 5_000;
/** Different keys of one trouble; what comes after them counts as the one that stands. */
const mostKeys = 32;

export interface Ended {
  sinceMs: number;
  untilMs: number;
  /** What it turned into; null: it is over. */
  became: string | null;
}

interface Entry {
  key: string;
  id: number;
  sinceMs: number;
  lastMs: number;
  ended: boolean;
}

export class Standing {
  #now: Entry | null = null;
  readonly #known = new Map<string, Entry>();

  /** `end` is told of what ended; of one that stood again later once more. */
  constructor(private readonly end: (id: number, ended: Ended) => void) {}

  /** The one that stands: its id, and since when. */
  get current(): { id: number; sinceMs: number } | null {
    return this.#now && { id: this.#now.id, sinceMs: this.#now.sinceMs };
  }

  /** The reading at `nowMs` says `key`; null: nothing. `begin` records one that is new, and yields its id. */
  follow(key: string | null, nowMs: number, begin: () => number): void {
    const now = this.#now;
    if (key === null) {
      // Also when the clock was set back: it would not end for as long.
      if (now && Math.abs(nowMs - now.lastMs) >= settleMs) this.close();
      return;
    }
    const known = this.#known.get(key);
    if (now && (now.key === key || (!known && this.#known.size >= mostKeys))) {
      now.lastMs = nowMs;
      return;
    }
    if (now && !known) this.#end(now, nowMs, key);
    const entry = known ?? { key, id: begin(), sinceMs: nowMs, lastMs: nowMs, ended: false };
    entry.lastMs = nowMs;
    this.#known.set(key, entry);
    this.#now = entry;
  }

  /** Ends what stands. */
  close(): void {
    for (const entry of this.#known.values())
      if (!entry.ended || entry === this.#now) this.#end(entry, entry.lastMs, null);
    this.#known.clear();
    this.#now = null;
  }

  #end(entry: Entry, untilMs: number, became: string | null): void {
    entry.ended = true;
    this.end(entry.id, { sinceMs: entry.sinceMs, untilMs, became });
  }
}

/** A verdict's rule and victims as one text, such as "threshold: shed voice". */
export const keyOf = ({
  rule,
  actions,
}: {
  rule: string;
  actions: readonly { kind: string; plugin: string }[];
}): string =>
  actions.length === 0
    ? rule
    : `${rule}: ${actions.map(({ kind, plugin }) => `${kind} ${plugin}`).join(", ")}`;
