/** The last events, for those who come late or come back. Log lines of plugins are kept elsewhere, a tail a plugin. */

import type { EventBus, Unsubscribe } from "./bus.ts";
import { type ConductorEvent, eventNames } from "./events.ts";
import type { Wanted } from "./pattern.ts";

/** Events and bytes kept; the oldest go first. */
export const mostKept = 1_000;
const mostKeptBytes = 2 ** 20;
/** Of so many events their names are known, to say how many of the wanted ones are gone; a byte each. */
const mostNames = 2 ** 16;

export const eventIdPattern = /^([a-z0-9]{1,32})-(\d{1,15})$/;

/** From where to read: the newest `last`, or all that followed the event with the id `after`. */
export interface ReadFrom {
  last: number;
  after?: string | undefined;
}

export interface EventReading {
  /** Oldest first. */
  events: ConductorEvent[];
  /** Wanted events after `after` that are not kept any more. */
  dropped: number;
  /** `after` is no event of this run: what followed it in its own run is lost, and nobody knows how many those were. */
  restarted: boolean;
}

export class EventLog {
  readonly #bus: EventBus;
  readonly #kept: { event: ConductorEvent; bytes: number }[] = [];
  readonly #names = new Uint8Array(mostNames);
  readonly #nameIndex = new Map<string, number>(eventNames.map((name, index) => [name, index]));
  #bytes = 0;
  #newest = 0;

  /** Keeps what the bus delivers from now on. To be made before the first event: ids and this count together. */
  constructor(bus: EventBus) {
    this.#bus = bus;
    bus.subscribe(
      (event) => this.#add(event),
      (name) => name !== "plugin.log",
    );
  }

  #add(event: ConductorEvent): void {
    this.#newest++;
    this.#names[this.#newest % mostNames] = this.#nameIndex.get(event.name) ?? 0;
    const bytes = Buffer.byteLength(JSON.stringify(event));
    this.#kept.push({ event, bytes });
    this.#bytes += bytes;
    while (this.#kept.length > mostKept || this.#bytes > mostKeptBytes)
      this.#bytes -= this.#kept.shift()?.bytes ?? 0;
  }

  /** What of the wanted events is kept. */
  read(wants: Wanted, { last, after }: ReadFrom): EventReading {
    const newest = (from: number) =>
      this.#kept.slice(from).flatMap(({ event }) => (wants(event.name) ? [event] : []));
    if (after === undefined)
      return { events: last === 0 ? [] : newest(0).slice(-last), dropped: 0, restarted: false };
    const [, run, digits] = eventIdPattern.exec(after) ?? [];
    const seq = Number(digits);
    const ours = run === this.#bus.run && seq <= this.#newest;
    const gone = this.#newest - this.#kept.length;
    const from = ours ? seq : 0;
    return {
      events: newest(Math.max(0, from - gone)),
      dropped: this.#lost(from, gone, wants),
      restarted: !ours,
    };
  }

  /** Wanted events after number `from` up to number `to`; those too old to be known by name all count. */
  #lost(from: number, to: number, wants: Wanted): number {
    const oldestNamed = Math.max(from, this.#newest - mostNames);
    let lost = Math.max(0, Math.min(to, oldestNamed) - from);
    for (let seq = oldestNamed + 1; seq <= to; seq++) {
      const name = eventNames[this.#names[seq % mostNames] ?? 0];
      if (name && wants(name)) lost++;
    }
    return lost;
  }

  /** Calls `take` with each wanted event from now on; log lines of plugins too, where they are wanted. */
  follow(wants: Wanted, take: (event: ConductorEvent) => void): Unsubscribe {
    return this.#bus.subscribe(take, wants);
  }
}
