/** What each plugin usually holds, learned from its own measured footprints. */

/** Measurements kept for each plugin: 240 of one a second to one a tick are minutes to hours. */
const kept = 240;
/** Plugins tracked; the one measured longest ago leaves when another comes. */
const mostPlugins = 1_000;

/**
 * The median of a plugin's recent footprints. The median and not the peak: a plugin that leaked until it was shed
 * starts small again, and one whose peak no longer fits must not stay away for ever.
 */
export class LearnedFootprints {
  readonly #byPlugin = new Map<string, number[]>();

  /** Adds one measured footprint. */
  learn(plugin: string, bytes: number): void {
    const history = this.#byPlugin.get(plugin) ?? [];
    history.push(bytes);
    if (history.length > kept) history.shift();
    this.#byPlugin.delete(plugin);
    this.#byPlugin.set(plugin, history);
    if (this.#byPlugin.size <= mostPlugins) return;
    const oldest = this.#byPlugin.keys().next();
    if (!oldest.done) this.#byPlugin.delete(oldest.value);
  }

  /** Bytes that the plugin usually holds; null before it was ever measured. */
  usualBytes(plugin: string): number | null {
    const history = this.#byPlugin.get(plugin);
    if (!history || history.length === 0) return null;
    const sorted = history.toSorted((a, b) => a - b);
    const middle = sorted.length >> 1;
    const upper = sorted[middle] ?? 0;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  }
}
