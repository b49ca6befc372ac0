/** Events that are given up, on their way into the database: together where many come at once, never in `publish`. */

import type { Clock, Timer } from "../clock.ts";
import type { WebhookLetterDraft, WebhookLetters } from "../storage/webhook-letters.ts";

/** Those that came with a burst wait so long for each other. */
const gatherMs = 50;
/** Where the database takes nothing it is tried again after this. */
const retryMs = 5_000;
/** Events and bytes that wait for the database; the oldest are lost. */
const mostWaiting = 1_000;
const mostWaitingBytes = 512 * 1024;

export interface UndeliveredPorts {
  clock: Clock;
  letters: Pick<WebhookLetters, "keep">;
  /** These are on the disk now. */
  kept(webhooks: ReadonlySet<string>): void;
  /** So many left by the bounds, or were not written. */
  lost(letters: number): void;
}

export class Undelivered {
  #waiting: WebhookLetterDraft[] = [];
  #bytes = 0;
  #timer: Timer | null = null;
  #failing = false;

  constructor(private readonly ports: UndeliveredPorts) {}

  /** Soon on the disk, together with others. */
  add(draft: WebhookLetterDraft): void {
    this.#waiting.push(draft);
    this.#bytes += Buffer.byteLength(draft.body);
    let lost = 0;
    const tooMuch = () => this.#waiting.length > mostWaiting || this.#bytes > mostWaitingBytes;
    if (tooMuch() && !this.#failing) this.flush();
    for (; tooMuch(); lost++) this.#bytes -= Buffer.byteLength(this.#waiting.shift()?.body ?? "");
    if (lost > 0) this.ports.lost(lost);
    if (this.#waiting.length > 0) this.#timer ??= this.ports.clock.after(gatherMs, () => this.flush());
  }

  /** All that wait, on the disk now; false: the database does not take them, and they are tried again. */
  flush(): boolean {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#waiting.length === 0) return true;
    const { clock, letters, kept, lost } = this.ports;
    const result = letters.keep(this.#waiting);
    this.#failing = result.problem !== null;
    if (this.#failing) {
      this.#timer = clock.after(retryMs, () => this.flush());
      return false;
    }
    const webhooks = new Set(this.#waiting.map(({ webhook }) => webhook));
    this.#waiting = [];
    this.#bytes = 0;
    if (result.lost > 0) lost(result.lost);
    kept(webhooks);
    return true;
  }

  /** Writes what waits, a last time. */
  end(): void {
    if (!this.flush()) this.ports.lost(this.#waiting.length);
    this.#timer?.cancel();
  }
}
