/**
 * Where dead letters go: to the platform that the rules in force send them to, as a live request, which need not be the
 * one that their client named. Found in pages, since only the rules can tell, and remembered.
 */

import type { DeadLetter } from "../storage/dead-letter-row.ts";
import type { DeadLetters } from "../storage/dead-letters.ts";
import type { RouteRules } from "./rules.ts";

/** Letters whose payload may have to be read for one page. */
export const pageLetters = 100;
/** Targets remembered; all are forgotten over that. */
const mostKnown = 20_000;

/** How far a search through the waiting letters is. */
export interface Searched<Found> {
  found: Found;
  /** The search goes on after this letter. */
  afterId: number;
  /** There are no further letters. */
  ended: boolean;
}

export class RedriveTargets {
  #decidedBy: RouteRules | null = null;
  readonly #known = new Map<number, string>();

  constructor(
    private readonly letters: Pick<DeadLetters, "byId" | "next" | "platformsWaiting" | "waitingAfter">,
    private readonly rules: () => RouteRules | null,
  ) {}

  /** The platform that a letter goes to. */
  of(letter: DeadLetter): string {
    const target = this.#rules()?.decide(letter)?.to ?? letter.platform;
    if (this.#known.size >= mostKnown) this.#known.clear();
    this.#known.set(letter.id, target);
    return target;
  }

  /** The oldest letter for `target` among the next page of those that wait; null: it is none of them. Throws StorageError. */
  next(target: string, afterId: number, nowMs: number): Searched<DeadLetter | null> {
    if (this.#rules() === null) return { found: this.letters.next(target, nowMs), afterId: 0, ended: true };
    const page = this.letters.waitingAfter(afterId, nowMs, pageLetters);
    let beforeId = afterId;
    for (const id of page) {
      const found = this.#target(id) === target ? this.letters.byId(id) : null;
      if (found) return { found, afterId: beforeId, ended: false };
      beforeId = id;
    }
    return { found: null, afterId: beforeId, ended: page.length < pageLetters };
  }

  /** The platforms that the next page of those that wait go to. Throws StorageError. */
  all(afterId: number, nowMs: number): Searched<Set<string>> {
    if (this.#rules() === null)
      return { found: new Set(this.letters.platformsWaiting()), afterId: 0, ended: true };
    const page = this.letters.waitingAfter(afterId, nowMs, pageLetters);
    const found = new Set(page.map((id) => this.#target(id)).filter((target) => target !== null));
    return { found, afterId: page.at(-1) ?? afterId, ended: page.length < pageLetters };
  }

  /** Null: there is no such letter any more. */
  #target(id: number): string | null {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const letter = this.letters.byId(id);
    return letter && this.of(letter);
  }

  /** The rules in force; null: there are none, and each letter goes to the platform that its client named. */
  #rules(): RouteRules | null {
    const rules = this.rules();
    if (rules !== this.#decidedBy) this.#known.clear();
    this.#decidedBy = rules;
    return rules === null || rules.count === 0 ? null : rules;
  }
}
