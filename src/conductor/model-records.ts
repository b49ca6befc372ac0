/** What the language models do, into the record, the metrics and the events; and what was learned of them, kept. */

import type { Clock } from "../clock.ts";
import type { ModelSettings } from "../config/models-schema.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { LadderPolicy, LadderSituation, LadderVerdict, ModelFacts } from "../models/ladder-facts.ts";
import type { ModelManager } from "../models/manager.ts";
import type { ModelChanged, StandingOrder } from "../models/manager-ports.ts";
import { modelPolicy } from "../storage/decision-row.ts";
import { StorageError } from "../storage/errors.ts";
import type { Storage } from "../storage/storage.ts";

export interface ModelRecordsOptions {
  clock: Clock;
  log: Log;
  publisher: Publisher;
  storage: Pick<Storage, "decisions" | "modelPeaks" | "modelOrders">;
  metrics: Metrics;
  policy: LadderPolicy;
}

interface Open {
  id: number;
  startedMs: number;
  action: Record<string, unknown>;
}

/** What a model is made of: what was learned of another one under its name tells nothing. */
export const sourceOf = ({ engine, model, url, command }: ModelSettings): string =>
  JSON.stringify([engine, model ?? null, url ?? null, command ?? null]);

export class ModelRecords {
  readonly #options: ModelRecordsOptions;
  /** Peaks as they were kept last, by model. */
  readonly #kept = new Map<string, string>();
  #open: Open | null = null;

  constructor(options: ModelRecordsOptions) {
    this.#options = options;
  }

  /** Changes are recorded, holds are not. A new one ends the one before, which it gave up. */
  decided({ nowMs: _, models, memory, ...situation }: LadderSituation, verdict: LadderVerdict): void {
    if (verdict.action === "hold") return;
    const { clock, log, publisher, storage, metrics, policy } = this.#options;
    const { rule, reason, rejected, action: kind, model, ...terms } = verdict;
    const action = { kind, plugin: model, urgent: rule === "emergency", ...termsOf(terms) };
    const decisionId = storage.decisions.append({
      atMs: clock.nowMs(),
      policy: modelPolicy,
      rule,
      reason,
      inputs: {
        ...situation,
        measured: { usedBytes: memory.usedBytes, budgetBytes: memory.budgetBytes },
        reservedBytes: memory.reservedBytes,
        models,
        ladder: policy,
      },
      forecast: null,
      plan: null,
      actions: [action],
      alternatives: rejected.map(({ model: plugin, because }) => ({ kind, plugin, because })),
      plugins: "from" in verdict && verdict.from !== model ? [model, verdict.from] : [model],
    });
    this.#ended("another decision took its place", false);
    this.#open = { id: decisionId, startedMs: clock.monotonicMs(), action };
    metrics.countDecision(rule, "model");
    log.info("model.decided", { decisionId, rule, reason, action: kind, model });
    publisher.publish("scaling.decision", {
      decisionId,
      rule,
      reason,
      actions: [`${kind} ${model}`],
      observed: false,
    });
  }

  /** No change is under way any more: the one that was decided last came to what the models are now. */
  settled(models: readonly ModelFacts[]): void {
    const { kind, plugin } = this.#open?.action ?? {};
    const model = models.find(({ name }) => name === plugin);
    if (!model) return;
    const isLoaded = model.state === "ready";
    const done = kind === "unload" || kind === "cut" ? !isLoaded : isLoaded;
    this.#ended(
      done ? `${model.name} is ${model.state}` : `${model.name} is ${model.state}: see the log`,
      done,
    );
  }

  #ended(detail: string, done: boolean): void {
    const open = this.#open;
    if (!open) return;
    this.#open = null;
    const { clock, storage } = this.#options;
    const durationMs = Math.round(clock.monotonicMs() - open.startedMs);
    storage.decisions.setOutcome(open.id, [{ ...open.action, durationMs, done, detail }], clock.nowMs());
  }

  changed(event: ModelChanged): void {
    const { log, publisher, metrics } = this.#options;
    const { from, to, reason } = event;
    log.warn("model.changed", { from, to, reason, quality: event.new?.quality ?? null });
    publisher.publish("model.changed", { ...event });
    if (from !== to) metrics.models.changed(from, to);
  }

  /** What a person wants holds after a restart too. */
  ordered(orders: ReadonlyMap<string, StandingOrder>): void {
    const { storage, log } = this.#options;
    const { problem } = storage.modelOrders.replace(orders);
    if (problem)
      log.warn("model.orders-not-kept", {
        because: problem.message,
        remedy: "order it again after the next start",
      });
  }

  /** What earlier runs learned, and what they were ordered. */
  remember(manager: ModelManager, settings: readonly ModelSettings[]): void {
    const { storage, log } = this.#options;
    try {
      for (const each of settings)
        manager.remember(each.name, storage.modelPeaks.of(each.name, sourceOf(each)));
      manager.obey(storage.modelOrders.all());
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      log.warn("model.record-unread", { because: error.message });
    }
  }

  /** Keeps what is new, and shows how each stands. */
  measured(manager: ModelManager, settings: readonly ModelSettings[]): void {
    const { storage, clock, metrics } = this.#options;
    metrics.models.show(manager.facts());
    for (const each of settings) {
      const peaks = manager.peaks(each.name);
      const text = JSON.stringify(peaks);
      if (peaks.length === 0 || this.#kept.get(each.name) === text) continue;
      if (storage.modelPeaks.keep(each.name, sourceOf(each), peaks, clock.nowMs()))
        this.#kept.set(each.name, text);
    }
  }
}

/** Of a verdict what tells how, in the words of the record. */
function termsOf(terms: Record<string, unknown>): Record<string, unknown> {
  const { needBytes = null, setting, ...rest } = terms;
  return { ...rest, expectedBytes: needBytes, ...(typeof setting === "object" ? setting : {}) };
}
