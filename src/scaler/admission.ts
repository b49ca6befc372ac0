/**
 * Whether memory allows one more process: a plugin that is to start, or a second copy of one that runs. Measured when
 * asked, and what others were promised and have not taken yet counts too, so that many that start at once do not all
 * see the same free memory.
 */

import type { Clock } from "../clock.ts";
import { formatBytes, formatPercent } from "../config/units.ts";
import { shedLine } from "./latest-line.ts";
import type { Leases } from "./leases.ts";
import { ReservationLedger, type Reserved } from "./ledger.ts";
import { neverShed, sheddingOrder } from "./order.ts";
import type { Actuator } from "./ports.ts";
import { type Promised, type RoomAnswer, type RoomRequest, roomFor } from "./room.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "./situation.ts";
import { type Need, startNeed } from "./start-need.ts";

export type Permission = { ok: true } | { ok: false; reason: string };

export interface AdmissionOptions {
  clock: Clock;
  actuator: Pick<Actuator, "plugins" | "footprintBytes">;
  /** After this a promise lapses though nobody said how the start ended. */
  reservationMs: number;
  /** How far the forecast looks. */
  horizonMs: number;
  leases: Leases;
}

/** What the answer depends on besides the plugins. */
export interface MemoryNow {
  /** Null: memory cannot be measured, and nothing is refused for it. */
  situation: Situation | null;
  forecast: ForecastFacts | null;
  policy: Policy;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #starts: ReservationLedger;
  readonly #copies: ReservationLedger;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#starts = new ReservationLedger(options.reservationMs);
    this.#copies = new ReservationLedger(options.reservationMs);
  }

  /**
   * Whether `plugin` may start; if so what it needs is reserved (see start-need.ts). The plugin that is never shed, and what
   * it requires, always may: they stand in for the others.
   */
  mayStart(plugin: string, memory: MemoryNow): Permission {
    this.#starts.release(plugin);
    const plugins = this.#options.actuator.plugins();
    const need = this.#needOf(plugin, plugins, memory);
    if (!isNeverShed(plugin, plugins, memory.policy)) {
      const because = this.#whyNoRoom(memory, need, "there is no room");
      if (because !== null) return { ok: false, reason: because };
    }
    this.#reserveStart(plugin, need.bytes);
    return { ok: true };
  }

  /**
   * Whether a second copy of a running plugin may run beside it, until the first one ends. It is taken to need the
   * larger of what the plugin holds now and what a start of it needs; if it may, that is reserved. No plugin is exempt:
   * one that has no room beside itself can still be stopped first.
   */
  mayOverlap(plugin: string, memory: MemoryNow): Permission {
    this.#copies.release(plugin);
    const { actuator, clock } = this.#options;
    const heldBytes = actuator.footprintBytes(plugin) ?? 0;
    const bytes = Math.max(heldBytes, this.#needOf(plugin, actuator.plugins(), memory).bytes);
    const need = { bytes, what: `its ${formatBytes(bytes)} once more` };
    const because = this.#whyNoRoom(memory, need, "there is no room for a second copy");
    if (because !== null) return { ok: false, reason: because };
    this.#copies.reserve(plugin, bytes, clock.monotonicMs(), heldBytes);
    return { ok: true };
  }

  /** Only one copy is left, whichever: what it holds is measured from now on. */
  overlapEnded(plugin: string): void {
    this.#copies.release(plugin);
  }

  /** A plugin moved to `state`. One that starts is counted until it is ready or has failed, whoever ordered it. */
  moved(plugin: string, state: PluginFacts["state"], memory: () => MemoryNow): void {
    if (state !== "starting") this.#starts.release(plugin);
    else if (!this.#starts.has(plugin))
      this.#reserveStart(plugin, this.#needOf(plugin, this.#options.actuator.plugins(), memory()).bytes);
    if (state !== "running") this.#copies.release(plugin);
  }

  /** Whether so much may be promised now; nothing is reserved by asking. */
  ask(request: RoomRequest, situation: Situation, { forecast, policy }: MemoryNow): RoomAnswer {
    const { horizonMs } = this.#options;
    return roomFor(request, { situation, promised: this.promised(), forecast, horizonMs, policy });
  }

  /** Everything that is promised now. */
  promised(): Promised[] {
    const { clock, actuator, leases } = this.#options;
    const nowMs = clock.monotonicMs();
    const footprint = (plugin: string) => actuator.footprintBytes(plugin);
    return [
      ...this.#starts.list(nowMs, footprint).map((each) => promisedAs("start", each)),
      ...this.#copies.list(nowMs, footprint).map((each) => promisedAs("copy", each)),
      ...leases.list(nowMs).map((each) => promisedAs("lease", each)),
    ];
  }

  /** Bytes that were promised and are not taken yet. */
  reservedBytes(): number {
    const { clock, actuator, leases } = this.#options;
    const nowMs = clock.monotonicMs();
    const footprint = (plugin: string) => actuator.footprintBytes(plugin);
    return (
      this.#starts.reservedBytes(nowMs, footprint) +
      this.#copies.reservedBytes(nowMs, footprint) +
      leases.reservedBytes(nowMs)
    );
  }

  #needOf(plugin: string, plugins: readonly PluginFacts[], { situation, policy }: MemoryNow): Need {
    const roomBytes = situation
      ? shedLine(situation, policy) * situation.measured.budgetBytes - situation.measured.usedBytes
      : Infinity;
    return startNeed(
      plugins.find(({ name }) => name === plugin),
      roomBytes,
    );
  }

  #reserveStart(plugin: string, bytes: number): void {
    if (bytes > 0) this.#starts.reserve(plugin, bytes, this.#options.clock.monotonicMs());
  }

  /** One sentence, or null: it fits. */
  #whyNoRoom(memory: MemoryNow, { bytes, what }: Need, refusal: string): string | null {
    const { situation } = memory;
    if (!situation) return null;
    const request = { bytes, withinMs: this.#options.reservationMs, importance: null };
    const answer = this.ask(request, situation, memory);
    if (answer.decision === "admit") return null;
    const { afterRatio, lineRatio, promisedBytes, riseBytes, blockedBy } = answer;
    const usedRatio = situation.measured.usedBytes / situation.measured.budgetBytes;
    if (usedRatio >= lineRatio || situation.shedding)
      return `memory is short: ${formatPercent(usedRatio)} of the budget is used, the shed line is ${formatPercent(lineRatio)}`;
    const parts = what !== null && bytes > 0 ? [what] : [];
    const others = blockedBy.flatMap(({ kind, name }) =>
      kind === "start" || kind === "copy" || kind === "lease" ? [name ?? ""] : [],
    );
    if (promisedBytes > 0)
      parts.push(`${formatBytes(promisedBytes)} that are promised to ${namesOf(others)}`);
    if (riseBytes > 0) parts.push(`${formatBytes(riseBytes)} by which it is expected to grow meanwhile`);
    return `${refusal}: ${formatPercent(afterRatio)} of the budget would be used with ${parts.join(" and ")}`;
  }
}

/** Without what only its holder may know: the name of a lease. */
const promisedAs = (kind: Promised["kind"], { who, bytes, takenBytes, untilMs }: Reserved): Promised => ({
  kind,
  who,
  bytes,
  takenBytes,
  untilMs,
});

const mostNamed = 3;

/** "a, b, c and 2 more": the largest promises first. */
function namesOf(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return more > 0 ? `${names.slice(0, mostNamed).join(", ")} and ${more} more` : names.join(", ");
}

const isNeverShed = (plugin: string, plugins: readonly PluginFacts[], { order }: Policy): boolean =>
  [...neverShed(sheddingOrder(plugins, order))].some(({ name }) => name === plugin);
