/** Label values come from plugins and requests: each metric takes a bounded number of them. */

/** Distinct values that one label of one metric takes; every further one is counted under "other". */
export const mostLabelValues = 64;
const mostCharacters = 128;

/** The values that one label has taken so far, first come first served. */
export class BoundedLabel {
  readonly #admitted = new Set<string>();

  constructor(readonly most = mostLabelValues) {}

  /** `value`, cut to 128 characters; "other" once the label is full; "unknown" for an empty one, which means no label. */
  admit(value: string): string {
    const short = value === "" ? "unknown" : value.slice(0, mostCharacters);
    if (this.#admitted.has(short)) return short;
    if (this.#admitted.size >= this.most) return "other";
    this.#admitted.add(short);
    return short;
  }

  /** Gives the place of a value that is gone to another one. */
  forget(value: string): void {
    this.#admitted.delete(value);
  }
}

/** Admits each label of one metric by its own bound. */
export class BoundedLabels<Name extends string> {
  readonly #labels: Record<Name, BoundedLabel>;

  constructor(readonly names: readonly Name[]) {
    const labels = names.map((name) => [name, new BoundedLabel()] as const);
    this.#labels = Object.fromEntries(labels) as Record<Name, BoundedLabel>;
  }

  admit(values: Readonly<Record<Name, string>>): Record<Name, string> {
    const admitted = {} as Record<Name, string>;
    for (const name of this.names) admitted[name] = this.#labels[name].admit(values[name]);
    return admitted;
  }

  forget(name: Name, value: string): void {
    this.#labels[name].forget(value);
  }
}
