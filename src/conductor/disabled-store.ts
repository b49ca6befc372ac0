/** Where the plugin manager keeps what an administrator disabled: in the database. */

import type { Log } from "../log.ts";
import type { DisabledStore } from "../plugins/disabled.ts";
import { StorageError } from "../storage/errors.ts";
import type { Storage } from "../storage/storage.ts";

/** What cannot be read is said, and no plugin counts as disabled. */
export function disabledStoreOf(
  { disabledPlugins }: Pick<Storage, "disabledPlugins">,
  log: Log,
): DisabledStore {
  return {
    all: () => {
      try {
        return disabledPlugins.all();
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        log.warn("plugins.disabled_not_known", {
          because: error.message,
          remedy: "disable again what was disabled",
        });
        return new Map();
      }
    },
    keep: (plugin, atMs) => disabledPlugins.keep(plugin, atMs).problem?.message ?? null,
    forget: (plugin) => disabledPlugins.forget(plugin).problem?.message ?? null,
  };
}
