/** Memory that was promised and is not taken yet. Pure: time and footprints are told. */

interface Reservation {
  bytes: number;
  atMs: number;
  /** What the plugin held when it was made: only what it takes on top of that uses it up. */
  heldBytes: number;
}

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
   * Bytes that are promised and not taken yet. `measuredFootprint` is what a plugin holds now; null, it cannot be
   * read, counts as nothing taken. Reservations that are over are dropped.
   */
  reservedBytes(nowMs: number, measuredFootprint: (plugin: string) => number | null): number {
    let sum = 0;
    for (const [plugin, { bytes, atMs, heldBytes }] of this.#byPlugin) {
      if (nowMs - atMs >= this.#timeoutMs) {
        this.#byPlugin.delete(plugin);
        continue;
      }
      const takenBytes = Math.max(0, (measuredFootprint(plugin) ?? heldBytes) - heldBytes);
      sum += Math.max(0, bytes - takenBytes);
    }
    return sum;
  }
}
