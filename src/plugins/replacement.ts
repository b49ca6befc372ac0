/**
 * A version of a plugin takes over from another one.
 *
 *   beside    old ████████████████████░░░░ drains, ends        in place   old ██████░░░ drains, ends
 *             new      starts, proven ████████████████                    new          starts ████████████
 *             requests go to old ──────▶ to new                           requests ───▶ wait ─▶ to new
 *
 * Beside needs memory for both, and neither may hold what the other needs (a port); in place needs neither.
 */

import type { Crew } from "./crew.ts";
import { isServing, type PluginState } from "./lifecycle.ts";
import { type PluginVersion, requiredNames } from "./plugin-version.ts";
import { startProven } from "./proof.ts";
import type { StartOutcome, StopIntent, StopReport, SupervisorPorts } from "./supervisor-ports.ts";

/** The plugin, as everyone sees it. */
interface Replaced {
  readonly name: string;
  /** What runs, or is to. */
  readonly version: PluginVersion;
  readonly instancesWanted: number;
  readonly state: PluginState;
  wanted(): "run" | StopIntent;
  start(reason: string, how?: { automatic: boolean }): Promise<StartOutcome>;
}

/** What only a replacement may do to it. */
export interface ReplacementHands {
  readonly crew: Crew;
  readonly ports: SupervisorPorts;
  /** A start or an end that is under way; null when there is none. */
  moving(): Promise<unknown> | null;
  /** It is being ended. */
  ending(): boolean;
  /** From now on this is its version. */
  adopt(next: PluginVersion): void;
  /** Processes of the adopted version take requests. */
  tookOver(reason: string): void;
  end(reason: string): Promise<StopReport>;
  /** It is over: whoever still waits is told, and the usual restarts go on. */
  settle(): void;
}

export class Replacement {
  readonly #plugin: Replaced;
  readonly #hands: ReplacementHands;
  #running: Promise<StartOutcome> | null = null;

  constructor(plugin: Replaced, hands: ReplacementHands) {
    this.#plugin = plugin;
    this.#hands = hands;
  }

  /** The one under way; null when there is none. Never rejects. */
  get running(): Promise<StartOutcome> | null {
    return this.#running;
  }

  /** `next` takes over, beside what runs or in its place. What does not run just changes its version. */
  async run(
    next: PluginVersion,
    { beside, reason }: { beside: boolean; reason: string },
  ): Promise<StartOutcome> {
    while (this.#running) await this.#running;
    for (let moving = this.#hands.moving(); moving; moving = this.#hands.moving()) await moving;
    if (!isServing(this.#plugin.state)) return this.#atRest(next, reason);
    // Not at once: who is told of the states it goes through must see that it is being replaced.
    this.#running = Promise.resolve()
      .then(() => (beside ? this.#beside(next, reason) : this.#inPlace(next, reason)))
      .catch((error): StartOutcome => ({ ok: false, message: String(error) }));
    const outcome = await this.#running;
    this.#running = null;
    this.#hands.settle();
    return outcome;
  }

  /** Nothing of it serves: the next start is of the other version, and comes now where one was due. */
  async #atRest(next: PluginVersion, reason: string): Promise<StartOutcome> {
    const { state } = this.#plugin;
    this.#hands.adopt(next);
    const due = this.#plugin.wanted() === "run" && (state === "failed" || state === "crash-loop");
    return due ? this.#plugin.start(reason, { automatic: true }) : { ok: true };
  }

  /** The new processes are proven before they take requests. When one is not well nothing has changed. */
  async #beside(next: PluginVersion, reason: string): Promise<StartOutcome> {
    const { crew, ports, ending, adopt, tookOver } = this.#hands;
    const { name, version, instancesWanted } = this.#plugin;
    const { instances } = next.manifest;
    // A number that was set by hand stays, unless the new version names another one than the old did.
    const count = instances === version.manifest.instances ? instancesWanted : instances;
    const old = crew.members;
    const required = await ports.requirements(name, requiredNames(next));
    if (!required.ok) return { ok: false, message: required.reason };
    const proven = await startProven(crew, ports, next, count);
    if (!proven.ok) return proven;
    const wanted = this.#plugin.wanted();
    if (wanted !== "run" || ending() || !crew.admit(proven.instances)) {
      await Promise.all(proven.instances.map((instance) => crew.discard(instance)));
      const why = wanted === "run" ? "it ended" : `${name} was ${wanted}`;
      return { ok: false, message: `${why} just before it took over` };
    }
    adopt(next);
    // One of the old version that was started again meanwhile goes too.
    const goes = crew.members.filter((member) => old.includes(member) || member.version !== next);
    const retired = crew.retire(goes, ports.graceMs);
    tookOver(reason);
    await retired;
    return { ok: true };
  }

  /** The old processes end first. When the new ones do not run, the old version is started again. */
  async #inPlace(next: PluginVersion, reason: string): Promise<StartOutcome> {
    const plugin = this.#plugin;
    const { version, name } = plugin;
    await this.#hands.end(reason);
    if (plugin.wanted() !== "run") return { ok: false, message: `${name} was ${plugin.wanted()} meanwhile` };
    this.#hands.adopt(next);
    const outcome = await plugin.start(reason);
    if (outcome.ok || next === version || plugin.wanted() !== "run") return outcome;
    this.#hands.adopt(version);
    const back = await plugin.start("the new version does not run");
    if (back.ok) return outcome;
    return { ok: false, message: `${outcome.message}; nor does the old one: ${back.message}` };
  }
}
