/** Carries restores out, one at a time, while readings go on to be judged: a restore takes seconds. */

import type { Log } from "../log.ts";
import type { Execution } from "./execution.ts";
import type { Outcome } from "./ports.ts";
import type { Action, PluginFacts } from "./situation.ts";

export interface RestoresOptions {
  log: Log;
  execution: Execution;
  /** A restore ended, whichever way. */
  ended: (decisionId: number, outcome: Outcome) => void;
}

export class Restores {
  #now: { plugin: string; done: Promise<void> } | null = null;

  constructor(private readonly options: RestoresOptions) {}

  /** `plugins`, where the one that is being restored counts as starting until that is over. */
  withStarting(plugins: readonly PluginFacts[]): readonly PluginFacts[] {
    const restored = this.#now?.plugin;
    if (restored === undefined) return plugins;
    return plugins.map((each) =>
      each.name === restored && each.state === "shed" ? { ...each, state: "starting" as const } : each,
    );
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#now?.done;
  }

  /** Begins to restore; what fails is logged. */
  begin(decisionId: number, action: Action, reason: string): void {
    const { log, execution, ended } = this.options;
    const { plugin } = action;
    const done = execution
      .restore(action, reason)
      .then((outcome) => ended(decisionId, outcome))
      .catch((error: unknown) => log.error("scaler.restore_failed", { plugin, error }))
      .finally(() => {
        this.#now = null;
      });
    this.#now = { plugin, done };
  }
}
