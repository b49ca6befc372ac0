/** Memory that was promised to plugins and is not taken yet. Pure: time and footprints are told. */

interface Reservation {
  bytes: number;
  atMs: number;
  /** What the plugin held when it was made: only what it takes on top of that uses it up. */
  heldBytes: number;
}

/** A reservation as it stands: `bytes` promised, `takenBytes` of them seen in its holder's footprint. */
export interface Reserved {
  who: string;
  bytes: number;
  takenBytes: number;
  /** When it lapses, if nobody gives it back before; in the time that the ledger is told. */
  untilMs: number;
}

/** What is still to come of it. */
export const owedBytes = ({ bytes, takenBytes }: Pick<Reserved, "bytes" | "takenBytes">): number =>
  Math.max(0, bytes - takenBytes);

/** Reservations at a time; over that the oldest is dropped. */
const mostReservations = 1_000;

/** One reservation a plugin, from the permission to start until it is ready, has failed, or `timeoutMs` have passed. */
export class ReservationLedger {
  readonly #timeoutMs: number;
  readonly #byPlugin = new Map<string, Reservation>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Promises `bytes` on top of `heldBytes`; takes the place of the plugin's last reservation. */
  reserve(plugin: string, bytes: number, atMs: number, heldBytes = 0): void {
    this.#byPlugin.delete(plugin);
    this.#byPlugin.set(plugin, { bytes, atMs, heldBytes });
    const [oldest] = this.#byPlugin.keys();
    if (this.#byPlugin.size > mostReservations && oldest !== undefined) this.#byPlugin.delete(oldest);
  }

  /** Whether the plugin has a reservation, a lapsed one too. */
  has(plugin: string): boolean {
    return this.#byPlugin.has(plugin);
  }

  /** The plugin is ready, or did not start: what it holds is measured from now on. */
  release(plugin: string): void {
    this.#byPlugin.delete(plugin);
  }

  /**
   * Every reservation, the oldest first. `measuredFootprint` is what a plugin holds now; null, it cannot be read, counts
   * as nothing taken. Those that are over are dropped.
   */
  list(nowMs: number, measuredFootprint: (plugin: string) => number | null): Reserved[] {
    const listed: Reserved[] = [];
    for (const [plugin, { bytes, atMs, heldBytes }] of this.#byPlugin) {
      const untilMs = atMs + this.#timeoutMs;
      if (nowMs >= untilMs) {
        this.#byPlugin.delete(plugin);
        continue;
      }
      const takenBytes = Math.max(0, (measuredFootprint(plugin) ?? heldBytes) - heldBytes);
      listed.push({ who: plugin, bytes, takenBytes, untilMs });
    }
    return listed;
  }

  /** Bytes that are promised and not taken yet; see `list`. */
  reservedBytes(nowMs: number, measuredFootprint: (plugin: string) => number | null): number {
    // Mostly nothing is promised, and this is asked with each reading.
    if (this.#byPlugin.size === 0) return 0;
    return this.list(nowMs, measuredFootprint).reduce((sum, each) => sum + owedBytes(each), 0);
  }
}
