/** Memory between the scaler and the language models: what they may take, what they are promised, what they are giving back. */

import { type Clock, every } from "../clock.ts";
import { formatBytes } from "../config/units.ts";
import type { Log } from "../log.ts";
import type { LadderPolicy, LadderSituation, LadderVerdict, ModelFacts } from "../models/ladder-facts.ts";
import { isReady, lineOf, measuredRatio } from "../models/ladder-room.ts";
import type { MemoryReading as ModelMemoryReading } from "../models/manager-ports.ts";
import { freedBy, needOf } from "../models/need.ts";
import type { MemoryReading } from "../monitor/budget.ts";
import { owedBytes } from "../scaler/ledger.ts";
import type { Scaler } from "../scaler/scaler.ts";
import { borneOut, type GivingFacts } from "../scaler/situation.ts";

export interface ModelMemoryOptions {
  clock: Clock;
  log: Log;
  scaler: Pick<Scaler, "preflight" | "promised" | "status">;
  /** What a model holds, measured now; null: not known. */
  footprintBytes(model: string): number | null;
  /** Plugins wait for so long for memory that a model gives back when it has finished its answers. */
  finishMs: number;
  policy: LadderPolicy;
}

/** A load that nobody ends is over by then: an engine's own limit comes first. */
const leaseMs = 600_000;
/** What was taken of a promise is measured this often. */
const takenEveryMs = 1_000;
/** The memory of a model that was killed is back by then, or the plugins go too. */
const killedMs = 1_000;

export class ModelMemory {
  readonly #options: ModelMemoryOptions;
  #reading: MemoryReading | null = null;
  #giving: (GivingFacts & { model: string }) | null = null;

  constructor(options: ModelMemoryOptions) {
    this.#options = options;
  }

  take(reading: MemoryReading): void {
    this.#reading = reading;
  }

  /** As last read, with all that is promised, and the forecast once it is one. */
  read(): ModelMemoryReading | null {
    const reading = this.#reading;
    if (reading === null) return null;
    const { scaler } = this.#options;
    const reservedBytes = scaler.promised().reduce((sum, each) => sum + owedBytes(each), 0);
    const { usedBytes, budgetBytes } = reading;
    const { forecast } = scaler.status();
    const told =
      forecast?.state === "ready"
        ? {
            // What the scaler sheds for counts here too: models go before plugins.
            valueRatio: borneOut(
              Math.max(forecast.valueRatio, forecast.smoothedRatio),
              usedBytes / budgetBytes,
              forecast,
            ),
            upperRatio: forecast.upperRatio,
          }
        : null;
    return { memory: { usedBytes, budgetBytes, reservedBytes }, forecast: told };
  }

  /** A lease in the scaler's ledger; what the load has taken of it by now is not promised any more. */
  reserve(model: string, bytes: number): () => void {
    const { scaler, clock, log, footprintBytes } = this.#options;
    if (bytes <= 0) return () => undefined;
    const lease = scaler.preflight.hold({ who: `model ${model}`, bytes, leaseMs });
    if (lease === null) {
      log.warn("model.not-reserved", { model, bytes, because: "as many leases are held as there may be" });
      return () => undefined;
    }
    const taken = every(clock, takenEveryMs, () => {
      scaler.preflight.renew(lease.id, leaseMs, footprintBytes(model) ?? 0);
    });
    return () => {
      taken.cancel();
      scaler.preflight.release(lease.id);
    };
  }

  /** What a decision of the ladder gives back, so that plugins wait for that. Told of each one. */
  decided(situation: LadderSituation, verdict: LadderVerdict): void {
    const { models } = situation;
    const changing = models.some(({ state }) => state === "loading" || state === "unloading");
    if (changing && verdict.action === "hold") return; // What was begun goes on.
    const due = verdict.rule === "hold" ? dueSoon(situation, this.#options.policy) : null;
    const bytes = due ? withoutSmaller(due, models) : givenBack(models, verdict);
    const leaving = due?.name ?? (verdict.action === "switch" ? verdict.from : verdict.model);
    if (bytes <= 0 || leaving === null) {
      this.#giving = null;
      return;
    }
    const { clock, finishMs } = this.#options;
    // A model that first finishes and then goes has one time for both.
    const begun = this.#giving?.model === leaving ? this.#giving.untilMs : clock.nowMs() + finishMs;
    this.#giving = { model: leaving, bytes, untilMs: begun, urgent: false, who: `the model ${leaving}` };
  }

  /** It was killed: what it held is back within moments. */
  killed({ name, heldBytes }: Pick<ModelFacts, "name" | "heldBytes">): void {
    const { clock, log } = this.#options;
    const bytes = heldBytes ?? 0;
    log.warn("model.killed", { model: name, detail: `memory is short, and it holds ${formatBytes(bytes)}` });
    const untilMs = clock.nowMs() + killedMs;
    this.#giving = { model: name, bytes, untilMs, urgent: true, who: `the model ${name}, which was killed,` };
  }

  /** Null: nothing is given back. */
  get giving(): GivingFacts | null {
    if (this.#giving === null) return null;
    const { model: _, ...facts } = this.#giving;
    return facts;
  }
}

/** Over its line, and nothing is done: it was just loaded, or memory settles. It is the next to go. */
function dueSoon(situation: LadderSituation, policy: LadderPolicy): ModelFacts | null {
  const active = situation.models.find(isReady);
  if (!active || freedBy(active) === 0) return null;
  return measuredRatio(situation) >= lineOf(active, situation.models, policy) ? active : null;
}

/** What comes free when the model goes and the largest of the smaller ones takes its place. */
function withoutSmaller(model: ModelFacts, models: readonly ModelFacts[]): number {
  const smaller = models.slice(models.indexOf(model) + 1);
  const needs = smaller.flatMap((each) => (each.unusable ? [] : (needOf(each, each.contextTokens) ?? [])));
  return freedBy(model) - Math.max(0, ...needs.filter((bytes) => bytes < freedBy(model)));
}

/** Bytes that are free for good once the verdict is carried out; what takes the model's place is none of them. */
function givenBack(models: readonly ModelFacts[], verdict: LadderVerdict): number {
  const named = (name: string | null) => models.find((model) => model.name === name);
  const model = named(verdict.model);
  if (!model) return 0;
  switch (verdict.action) {
    case "unload":
    case "cut":
      return freedBy(model);
    case "trim":
      return verdict.needBytes === 0 ? 0 : freedBy(model) - verdict.needBytes;
    case "switch": {
      const from = named(verdict.from);
      return from && !verdict.beside ? freedBy(from) - verdict.needBytes : 0;
    }
    case "hold":
      return verdict.rule === "finish" ? withoutSmaller(model, models) : 0;
    default:
      return 0;
  }
}
