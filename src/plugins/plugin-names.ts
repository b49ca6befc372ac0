/** One name, one plugin: which of several gets it. */

import type { DiscoveryError, FoundPlugin } from "./found-plugin.ts";

const placeOf = ({ source }: FoundPlugin): string => {
  if (source.kind === "bundled") return "the executable";
  if (source.kind === "part") return "conductor itself";
  if (source.kind === "registered") return source.folder ?? "the one registered";
  return source.folder;
};

/**
 * Gives each plugin a name of its own. Of two of one name (letter case aside) the first is kept, the second is listed
 * under another name as invalid; but a broken one never takes the name of one that works.
 */
export class PluginNames {
  readonly plugins: FoundPlugin[] = [];
  readonly errors: DiscoveryError[] = [];
  /** Index in `plugins` by name in lower case. */
  readonly #indexOf = new Map<string, number>();
  readonly #lastNumber = new Map<string, number>();

  add(found: FoundPlugin): void {
    const key = found.name.toLowerCase();
    const index = this.#indexOf.get(key);
    const first = index === undefined ? undefined : this.plugins[index];
    if (index === undefined || !first) {
      this.#push(found);
      return;
    }
    if (!first.manifest && found.manifest) {
      const renamed = { ...first, name: this.#freeName(first.name) };
      this.plugins[index] = renamed;
      this.#indexOf.set(renamed.name.toLowerCase(), index);
      this.#push(found);
      return;
    }
    const message = `two plugins are called "${found.name}": ${placeOf(first)} is used, ${placeOf(found)} is not; rename or remove one`;
    if (found.manifest) this.errors.push({ code: "duplicate-name", message });
    const errors = [...found.errors, ...(found.manifest ? [message] : [])];
    this.#push({ ...found, name: this.#freeName(found.name), manifest: null, errors });
  }

  #push(found: FoundPlugin): void {
    this.#indexOf.set(found.name.toLowerCase(), this.plugins.length);
    this.plugins.push(found);
  }

  #freeName(name: string): string {
    const key = name.toLowerCase();
    let number = (this.#lastNumber.get(key) ?? 1) + 1;
    while (this.#indexOf.has(`${key}~${number}`)) number++;
    this.#lastNumber.set(key, number);
    return `${name}~${number}`;
  }
}
