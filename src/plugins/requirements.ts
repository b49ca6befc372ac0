/**
 * What a plugin requires runs before it, and what requires it goes down with it.
 *
 *   start  ──▶ what it requires is started first; one that does not run blocks it
 *   down   ──▶ (stopped, shed, disabled, blocked, failed) those that require it are ended first, and are blocked
 *   ready  ──▶ those that it blocked start again
 */

import { isServing, type PluginState } from "./lifecycle.ts";
import type { Roster } from "./roster.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Permission, StartOutcome } from "./supervisor-ports.ts";

const down: readonly PluginState[] = ["stopped", "shed", "disabled", "blocked", "failed", "crash-loop"];

export class Requirements {
  readonly #roster: Roster;
  readonly #graceMs: number;
  #closed: string | null = null;

  constructor(roster: Roster, graceMs: number) {
    this.#roster = roster;
    this.#graceMs = graceMs;
  }

  /** From now on nothing is started, for this reason. */
  close(reason: string): void {
    this.#closed = reason;
  }

  /** Starts what `plugin` `requires` and waits for that; says what does not run. */
  async met(plugin: string, requires: readonly string[]): Promise<Permission> {
    if (this.#closed !== null) return { ok: false, reason: this.#closed };
    for (const name of requires) {
      const supervisor = this.#roster.supervisor(name);
      if (!supervisor) return { ok: false, reason: `requires ${name}, which cannot start` };
      if (isServing(supervisor.state)) continue;
      const startable =
        ["discovered", "starting", "blocked"].includes(supervisor.state) || supervisor.startsOnRequest;
      const outcome: StartOutcome = startable
        ? await supervisor.start(`required by ${plugin}`, { automatic: true })
        : { ok: false, message: `${supervisor.state}: ${supervisor.reason}` };
      if (!outcome.ok)
        return { ok: false, reason: `requires ${name}, which is not ready (${outcome.message})` };
    }
    return { ok: true };
  }

  /** A running plugin that requires `name`; null when there is none. */
  runningDependent(name: string): string | null {
    return (
      this.#roster.dependentsOf(name).find(({ state }) => isServing(state) || state === "starting")?.name ??
      null
    );
  }

  /** Ends those that require `name`, each after those that require it in turn. Null: there are none that run. */
  block(name: string, how: { urgent: boolean; reason: string }): Promise<unknown> | null {
    const running = this.#roster
      .dependentsOf(name)
      .filter(({ state }) => isServing(state) || state === "starting");
    if (running.length === 0) return null;
    return Promise.all(running.map((dependent) => this.#blockOne(dependent, how)));
  }

  #blockOne(
    dependent: Supervisor,
    { urgent, reason }: { urgent: boolean; reason: string },
  ): Promise<unknown> {
    const why = `requires ${dependent.name}, which is blocked: ${reason}`;
    const before = this.block(dependent.name, { urgent, reason: why });
    const how = { urgent, reason, graceMs: this.#graceMs, ...(before ? { before } : {}) };
    return Promise.all([before, dependent.block(how)]);
  }

  /** Takes note of a plugin's new state: blocks those that require it, or lets them start again. */
  follow(plugin: string, state: PluginState, reason: string): void {
    const supervisor = this.#roster.supervisor(plugin);
    // At the end all are ended in order.
    if (this.#closed !== null || !supervisor) return;
    // Who is being replaced comes back at once; whether it did is seen when that is over.
    if (supervisor.replacement) {
      if (down.includes(state))
        void supervisor.replacement.then(() => this.follow(plugin, supervisor.state, supervisor.reason));
    } else if (isServing(state)) this.#release(plugin);
    else if (down.includes(state))
      void this.block(plugin, { urgent: false, reason: `requires ${plugin}, which is ${state}: ${reason}` });
  }

  #release(plugin: string): void {
    for (const dependent of this.#roster.dependentsOf(plugin))
      if (dependent.state === "blocked" && dependent.wanted() === "run")
        void dependent.start(`${plugin}, which it requires, runs again`, { automatic: true });
  }
}
