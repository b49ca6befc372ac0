/** Keeps as many processes of a serving plugin running as are wanted. */

import type { Clock, Timer } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import { tooOften } from "./after-failure.ts";
import type { Crew } from "./crew.ts";
import type { Member } from "./member.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { NextRestart } from "./restart-backoff.ts";
import type { Permission } from "./supervisor-ports.ts";

export interface StrengthPorts {
  crew: Crew;
  clock: Clock;
  version(): PluginVersion;
  /** When to start one again that ran for so long; counts it. */
  next(ranMs: number): NextRestart;
  mayStart(): Permission;
  /** It serves and is to go on, and nothing else changes its processes now. */
  active(): boolean;
  /** The number of processes changed. */
  counted(): void;
  /** One is started again after an end nobody wanted. */
  restarted(): void;
}

/** How often a start that must wait for memory is tried again. */
const waitRetryMs = 2_000;

export class Strength {
  /** Why fewer run than are wanted; null when all do. */
  shortfall: string | null = null;
  wanted: number;
  readonly #ports: StrengthPorts;
  #filling: Promise<void> | null = null;
  #retry: Timer | null = null;

  constructor(wanted: number, ports: StrengthPorts) {
    this.wanted = wanted;
    this.#ports = ports;
  }

  get #short(): boolean {
    return this.#ports.active() && this.#ports.crew.members.length < this.wanted;
  }

  #note(why: string): void {
    this.shortfall = `${this.#ports.crew.members.length} of ${this.wanted} processes run: ${why}`;
  }

  /** One of several ended: the others go on, and it is started again in a while. */
  lost(text: string, ranMs: number): void {
    const { manifest } = this.#ports.version();
    if (manifest.recovery.restart === "never") {
      this.#note(`${text} (recovery.restart: never)`);
      return;
    }
    const next = this.#ports.next(ranMs);
    if (next.kind === "crash-loop") {
      this.#note(`${text}; ${tooOften(manifest, next.restarts)}, now it waits for a person`);
      return;
    }
    this.#note(`${text}; restart in ${formatDuration(next.delayMs)}`);
    this.#later(next.delayMs, () => this.#ports.restarted());
  }

  /** These are taken out of service, though their processes run; others are started for them in a while. */
  exchange(members: readonly Member[], text: string, graceMs: number): void {
    const { crew, clock, active, counted } = this.#ports;
    if (members.length === 0 || !active()) return;
    void crew.retire(members, graceMs);
    counted();
    this.lost(text, clock.monotonicMs() - Math.max(...members.map(({ readyAtMs }) => readyAtMs)));
  }

  #later(delayMs: number, before: () => void): void {
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(delayMs, () => {
      before();
      void this.fill();
    });
  }

  /** Sets no further start. */
  cancel(): void {
    this.#retry?.cancel();
    this.shortfall = null;
  }

  /** Starts processes until as many run as are wanted. One that does not start is tried again later. */
  fill(): Promise<void> {
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = null;
    });
    return this.#filling;
  }

  async #fill(): Promise<void> {
    const { crew } = this.#ports;
    while (this.#short) {
      const permitted = this.#ports.mayStart();
      if (!permitted.ok) {
        this.#note(permitted.reason);
        this.#later(waitRetryMs, () => undefined);
        return;
      }
      const started = await crew.start(this.#ports.version());
      if (!started.ok) {
        if (!started.stopped && this.#short) this.lost(started.message, 0);
        return;
      }
      if (!this.#short || !crew.admit([started.instance])) await crew.discard(started.instance);
      this.#ports.counted();
    }
    if (crew.members.length >= this.wanted) this.shortfall = null;
  }
}
