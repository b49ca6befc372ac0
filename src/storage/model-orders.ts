/** What a person ordered of the local models, so that it holds after a restart. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard, WriteResult } from "./write-guard.ts";

export type OrderedState = "pinned" | "unloaded";

interface Row {
  model: string;
  ordered: OrderedState;
}

export class ModelOrders {
  readonly #clear: Statement;
  readonly #keep: Statement;
  readonly #all: Statement<Row, []>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#clear = database.prepare("DELETE FROM model_orders");
    this.#keep = database.prepare("INSERT INTO model_orders (model, ordered) VALUES (?, ?)");
    this.#all = database.prepare("SELECT model, ordered FROM model_orders ORDER BY model") as Statement<
      Row,
      []
    >;
  }

  /** The order in force of each model that has one, by name. Throws StorageError. */
  all(): Map<string, OrderedState> {
    return new Map(this.database.read(() => this.#all.all()).map(({ model, ordered }) => [model, ordered]));
  }

  /** In place of all before; as many as there are models. On the disk when this returns without a problem. */
  replace(orders: ReadonlyMap<string, OrderedState>): WriteResult {
    return this.guard.attempt("models", "powerCut", () => {
      this.#clear.run();
      for (const [model, ordered] of orders) this.#keep.run(model, ordered);
    });
  }
}
