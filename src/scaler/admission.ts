/**
 * Whether memory allows one more process: a plugin that is to start, or a second copy of one that runs. Measured when
 * asked, and what others were promised and have not taken yet counts too, so that many that start at once do not all
 * see the same free memory.
 */

import type { Clock } from "../clock.ts";
import { formatBytes, formatPercent } from "../config/units.ts";
import { ReservationLedger } from "./ledger.ts";
import { neverShed, sheddingOrder } from "./order.ts";
import type { Actuator } from "./ports.ts";
import type { Measured, PluginFacts, Policy } from "./situation.ts";

export type Permission = { ok: true } | { ok: false; reason: string };

export interface AdmissionOptions {
  clock: Clock;
  actuator: Pick<Actuator, "plugins" | "footprintBytes">;
  /** After this a promise lapses though nobody said how the start ended. */
  reservationMs: number;
}

/** What the answer depends on besides the plugins. */
export interface MemoryNow {
  /** Null: memory cannot be measured, and nothing is refused for it. */
  measured: Measured | null;
  /** Memory is not yet back under the shed line less the margin. */
  shedding: boolean;
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
   * Whether `plugin` may start; if so its usual footprint is reserved. The plugin that is never shed, and what it
   * requires, always may: they stand in for the others.
   */
  mayStart(plugin: string, memory: MemoryNow): Permission {
    this.#starts.release(plugin);
    const plugins = this.#options.actuator.plugins();
    const bytes = plugins.find(({ name }) => name === plugin)?.learnedBytes ?? 0;
    if (!isNeverShed(plugin, plugins, memory.policy)) {
      const because =
        whyShort(memory) ??
        this.#whyNoRoom(memory, bytes, {
          refusal: "there is no room",
          what: `its usual ${formatBytes(bytes)}`,
        });
      if (because !== null) return { ok: false, reason: because };
    }
    this.#reserveStart(plugin, bytes);
    return { ok: true };
  }

  /**
   * Whether a second copy of a running plugin may run beside it, until the first one ends. It is taken to need the
   * larger of what the plugin holds now and what it usually holds; if it may, that is reserved. No plugin is exempt:
   * one that has no room beside itself can still be stopped first.
   */
  mayOverlap(plugin: string, memory: MemoryNow): Permission {
    this.#copies.release(plugin);
    const { actuator, clock } = this.#options;
    const heldBytes = actuator.footprintBytes(plugin) ?? 0;
    const learnedBytes = actuator.plugins().find(({ name }) => name === plugin)?.learnedBytes ?? 0;
    const bytes = Math.max(heldBytes, learnedBytes);
    const because =
      whyShort(memory) ??
      this.#whyNoRoom(memory, bytes, {
        refusal: "there is no room for a second copy",
        what: `its ${formatBytes(bytes)} once more`,
      });
    if (because !== null) return { ok: false, reason: because };
    this.#copies.reserve(plugin, bytes, clock.monotonicMs(), heldBytes);
    return { ok: true };
  }

  /** Only one copy is left, whichever: what it holds is measured from now on. */
  overlapEnded(plugin: string): void {
    this.#copies.release(plugin);
  }

  /** A plugin moved to `state`. One that starts is counted until it is ready or has failed, whoever ordered it. */
  moved(plugin: string, state: PluginFacts["state"]): void {
    if (state !== "starting") this.#starts.release(plugin);
    else if (!this.#starts.has(plugin)) {
      const facts = this.#options.actuator.plugins().find(({ name }) => name === plugin);
      this.#reserveStart(plugin, facts?.learnedBytes ?? 0);
    }
    if (state !== "running") this.#copies.release(plugin);
  }

  #reserveStart(plugin: string, bytes: number): void {
    if (bytes > 0) this.#starts.reserve(plugin, bytes, this.#options.clock.monotonicMs());
  }

  #whyNoRoom(
    { measured, policy }: MemoryNow,
    bytes: number,
    { refusal, what }: { refusal: string; what: string },
  ): string | null {
    if (!measured) return null;
    const reservedBytes = this.reservedBytes();
    const afterRatio = (measured.usedBytes + reservedBytes + bytes) / measured.budgetBytes;
    if (afterRatio < policy.shedRatio) return null;
    const parts = bytes > 0 ? [what] : [];
    if (reservedBytes > 0)
      parts.push(`${formatBytes(reservedBytes)} that those which are starting still take`);
    return `${refusal}: ${formatPercent(afterRatio)} of the budget would be used with ${parts.join(" and ")}`;
  }

  /** Bytes that were promised and are not taken yet. */
  reservedBytes(): number {
    const { clock, actuator } = this.#options;
    const nowMs = clock.monotonicMs();
    const footprint = (plugin: string) => actuator.footprintBytes(plugin);
    return this.#starts.reservedBytes(nowMs, footprint) + this.#copies.reservedBytes(nowMs, footprint);
  }
}

const isNeverShed = (plugin: string, plugins: readonly PluginFacts[], { order }: Policy): boolean =>
  [...neverShed(sheddingOrder(plugins, order))].some(({ name }) => name === plugin);

function whyShort({ measured, shedding, policy }: MemoryNow): string | null {
  if (!measured) return null;
  const ratio = measured.usedBytes / measured.budgetBytes;
  if (ratio < policy.shedRatio && !shedding) return null;
  return `memory is short: ${formatPercent(ratio)} of the budget is used, the shed line is ${formatPercent(policy.shedRatio)}`;
}
