/** Notices when a plugin was asked nothing for a while. */

import type { Clock, Timer } from "../clock.ts";
import type { RequestGate } from "./request-gate.ts";

export class IdleWatch {
  readonly #clock: Clock;
  readonly #gate: RequestGate;
  readonly #rest: (idleMs: number) => boolean;
  #timer: Timer | null = null;

  /** `rest` is called with how long nothing came; false: not now, look again after as long. */
  constructor(clock: Clock, gate: RequestGate, rest: (idleMs: number) => boolean) {
    this.#clock = clock;
    this.#gate = gate;
    this.#rest = rest;
  }

  /** Watches from now on; `idleMs` null: not at all. */
  watch(idleMs: number | null): void {
    this.cancel();
    if (idleMs !== null) this.#look(idleMs, this.#clock.monotonicMs());
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #look(idleMs: number, sinceMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const idleSinceMs = this.#gate.idleSinceMs;
    const idleForMs = idleSinceMs === null ? 0 : nowMs - Math.max(idleSinceMs, sinceMs);
    if (idleForMs >= idleMs && this.#rest(idleMs)) return;
    const waitMs = idleForMs >= idleMs ? idleMs : idleMs - idleForMs;
    this.#timer = this.#clock.after(waitMs, () => this.#look(idleMs, sinceMs));
  }
}
