/** prom-client's three kinds of metric, with bounded labels, and with "missing" as no series instead of a zero. */

import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import type Registry from "prom-client/lib/registry.js";
import { BoundedLabels } from "./bounded-labels.ts";

/** What describes a metric; `help` is one sentence and carries the unit. */
export interface Definition<Name extends string> {
  name: string;
  help: string;
  labels: readonly Name[];
}

type Labels<Name extends string> = Readonly<Record<Name, string>>;

export class BoundedCounter<Name extends string> {
  readonly #counter: Counter<Name>;
  readonly #bounds: BoundedLabels<Name>;

  constructor(registry: Registry, { name, help, labels }: Definition<Name>) {
    this.#counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
    this.#bounds = new BoundedLabels(labels);
  }

  /** Adds `amount`; what is negative or no number adds nothing, since a counter never goes down. */
  add(labels: Labels<Name>, amount = 1): void {
    if (amount > 0 && Number.isFinite(amount)) this.#counter.inc(this.#bounds.admit(labels), amount);
  }
}

export class BoundedGauge<Name extends string> {
  readonly #gauge: Gauge<Name>;
  readonly #bounds: BoundedLabels<Name>;

  constructor(registry: Registry, { name, help, labels }: Definition<Name>) {
    this.#gauge = new Gauge({ name, help, labelNames: [...labels], registers: [registry] });
    this.#bounds = new BoundedLabels(labels);
    // prom-client starts a gauge without labels at 0, which nobody has measured.
    if (labels.length === 0) this.#gauge.remove({} as Record<Name, string>);
  }

  /** Sets the value; null or what is no number takes the series away. */
  set(labels: Labels<Name>, value: number | null): void {
    const admitted = this.#bounds.admit(labels);
    if (value !== null && Number.isFinite(value)) this.#gauge.set(admitted, value);
    else this.#gauge.remove(admitted);
  }

  /** Takes the series away and gives the place of the value of label `name` to another one. */
  forget(labels: Labels<Name>, name: Name): void {
    this.#gauge.remove(this.#bounds.admit(labels));
    this.#bounds.forget(name, labels[name]);
  }
}

export class BoundedHistogram<Name extends string> {
  readonly #histogram: Histogram<Name>;
  readonly #bounds: BoundedLabels<Name>;

  constructor(registry: Registry, { name, help, labels }: Definition<Name>, buckets: readonly number[]) {
    this.#histogram = new Histogram({
      name,
      help,
      labelNames: [...labels],
      buckets: [...buckets],
      registers: [registry],
    });
    this.#bounds = new BoundedLabels(labels);
  }

  /** Observes one value; what is negative or no number is not observed. */
  observe(labels: Labels<Name>, value: number): void {
    if (value >= 0 && Number.isFinite(value)) this.#histogram.observe(this.#bounds.admit(labels), value);
  }
}

/** One of several states of a thing as gauges: 1 for the current one, 0 for the others. */
export class StateGauge<Name extends string> {
  readonly #gauge: BoundedGauge<Name | "state">;

  constructor(
    registry: Registry,
    definition: Definition<Name>,
    readonly states: readonly string[],
  ) {
    this.#gauge = new BoundedGauge<Name | "state">(registry, {
      ...definition,
      labels: [...definition.labels, "state"],
    });
  }

  set(labels: Labels<Name>, current: string): void {
    for (const state of this.states) this.#gauge.set(this.#with(labels, state), state === current ? 1 : 0);
  }

  forget(labels: Labels<Name>, name: Name): void {
    // Every series goes before the place is given away: afterwards the value may count as "other".
    for (const state of this.states) this.#gauge.set(this.#with(labels, state), null);
    const [first] = this.states;
    if (first !== undefined) this.#gauge.forget(this.#with(labels, first), name);
  }

  #with(labels: Labels<Name>, state: string): Record<Name | "state", string> {
    return { ...labels, state } as Record<Name | "state", string>;
  }
}
