/** Plugins that an administrator disabled, so that they stay so after a restart. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard, WriteResult } from "./write-guard.ts";

/** Names kept; the one that was disabled longest ago leaves. */
export const mostDisabled = 1_024;

export class DisabledPlugins {
  readonly #keep: Statement;
  readonly #trim: Statement;
  readonly #forget: Statement;
  readonly #all: Statement<{ plugin: string; atMs: number }, []>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#keep = database.prepare("INSERT OR REPLACE INTO disabled_plugins (plugin, at_ms) VALUES (?, ?)");
    this.#trim = database.prepare(
      `DELETE FROM disabled_plugins WHERE plugin IN
         (SELECT plugin FROM disabled_plugins ORDER BY at_ms DESC, plugin LIMIT -1 OFFSET ${mostDisabled})`,
    );
    this.#forget = database.prepare("DELETE FROM disabled_plugins WHERE plugin = ?");
    this.#all = database.prepare(
      "SELECT plugin, at_ms AS atMs FROM disabled_plugins ORDER BY plugin",
    ) as Statement<{ plugin: string; atMs: number }, []>;
  }

  /** When each was disabled (milliseconds since the epoch), by name. Throws StorageError. */
  all(): Map<string, number> {
    const rows = this.database.read(() => this.#all.all());
    return new Map(rows.map(({ plugin, atMs }) => [plugin, atMs]));
  }

  /** On the disk when this returns without a problem. */
  keep(plugin: string, atMs: number): WriteResult {
    return this.guard.attempt("disabled_plugins", "powerCut", () => {
      this.#keep.run(plugin, Math.trunc(atMs));
      this.#trim.run();
    });
  }

  /** On the disk when this returns without a problem; there need be none of that name. */
  forget(plugin: string): WriteResult {
    return this.guard.attempt("disabled_plugins", "powerCut", () => {
      this.#forget.run(plugin);
    });
  }
}
