/**
 * Carries decisions out. A reading or a forecast comes in; `decide` answers; its actions are taken one at a time,
 * memory is measured again after each, and every decision is recorded with what came of it.
 */

import type { Clock } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import { Admission, type Permission } from "./admission.ts";
import { Controller } from "./controller.ts";
import { Execution, type Seen, sinceReading } from "./execution.ts";
import { shedLine } from "./latest-line.ts";
import type { Actuator, DecisionRecord, MeasureNow, Outcome, Recorder } from "./ports.ts";
import { Sightings } from "./sightings.ts";
import type {
  Action,
  ForecastFacts,
  Measured,
  PluginFacts,
  Policy,
  Situation,
  Verdict,
} from "./situation.ts";

export interface ScalerOptions {
  clock: Clock;
  log: Log;
  publisher: Publisher;
  policy: Policy;
  actuator: Actuator;
  measureNow: MeasureNow;
  recorder: Recorder;
  /** Called after memory changed by an action, so that history before it is not taken for a trend. */
  onIntervention: (atMs: number, what: string) => void;
  /** Memory promised to a plugin that starts is free again after this, though nobody said how the start ended. */
  reservationMs: number;
}

export interface ScalerStatus {
  shedding: boolean;
  acting: string | null;
  lastChangeMs: number | null;
  /** What `decide` said last, also when it was to hold. */
  verdict: Verdict | null;
  measured: Measured | null;
  forecast: ForecastFacts | null;
}

/** A killed process is gone within some 15 ms; after this the next victim of an emergency is not kept waiting. */
const emergencyPatienceMs = 150;
/** A wall clock that moved by more than this against the monotonic one was set; less is rounding and drift. */
const leastStepMs = 500;

export class Scaler {
  readonly #options: ScalerOptions;
  readonly #execution: Execution;
  readonly #admission: Admission;
  readonly #controller: Controller;
  readonly #sightings = new Sightings();
  #forecast: ForecastFacts | null = null;
  #measured: Measured | null = null;
  #verdict: Verdict | null = null;
  /** What the wall clock is ahead of the monotonic one. */
  #wallAheadMs: number;
  #running: Promise<void> | null = null;
  #restoring: { plugin: string; done: Promise<void> } | null = null;
  #exhausted = false;
  #stopped = false;

  constructor(options: ScalerOptions) {
    this.#options = options;
    this.#execution = new Execution(options);
    this.#admission = new Admission(options);
    this.#controller = new Controller(options.policy);
    this.#wallAheadMs = options.clock.nowMs() - options.clock.monotonicMs();
  }

  status(): ScalerStatus {
    return {
      shedding: this.#controller.shedding,
      acting: this.#execution.stopping,
      lastChangeMs: this.#controller.lastChangeMs,
      verdict: this.#verdict,
      measured: this.#measured,
      forecast: this.#forecast,
    };
  }

  /** Thresholds and order from now on. */
  setPolicy(policy: Policy): void {
    this.#controller.policy = policy;
  }

  /** The newest forecast; null when there is none. The next reading is judged by it. */
  setForecast(forecast: ForecastFacts | null): void {
    this.#forecast = forecast;
  }

  /**
   * A fresh reading of memory. Starts an evaluation unless one runs; in that case an emergency still hastens the
   * plugin that is being stopped gently.
   */
  onReading(measured: Measured): void {
    this.#measured = measured;
    this.#sightings.add(measured, this.#options.clock.monotonicMs());
    if (this.#stopped) return;
    this.#followWallClock();
    if (this.#running) {
      if (this.#isEmergency(measured)) this.#execution.hasten(measured);
      return;
    }
    this.#running = this.#evaluate(measured)
      .catch((error) => this.#options.log.error("scaler.failed", { error }))
      .finally(() => {
        this.#running = null;
      });
  }

  /** Changes are told in wall-clock time, and a dwell lasts as long as it says: when that clock was set, they move with it. */
  #followWallClock(): void {
    const { clock } = this.#options;
    const aheadMs = clock.nowMs() - clock.monotonicMs();
    const movedMs = Math.round(aheadMs - this.#wallAheadMs);
    this.#wallAheadMs = aheadMs;
    if (Math.abs(movedMs) > leastStepMs) this.#controller.clockMoved(movedMs);
  }

  #isEmergency({ usedBytes, budgetBytes }: Measured): boolean {
    return usedBytes / budgetBytes >= this.#controller.policy.emergencyRatio;
  }

  /** The situation as it would be judged now. */
  situation(measured: Measured): Situation {
    return this.#controller.situation(this.#options.clock.nowMs(), measured, this.#plugins());
  }

  /** Whether memory allows the plugin to be started now, and if not why; see `Admission`. */
  mayStart(plugin: string): Permission {
    return this.#admission.mayStart(plugin, this.#memoryNow());
  }

  /** Whether memory allows a second copy of a running plugin beside it, and if not why; see `Admission`. */
  mayOverlap(plugin: string): Permission {
    return this.#admission.mayOverlap(plugin, this.#memoryNow());
  }

  /** The second copy that `mayOverlap` allowed runs alone now, or is gone. */
  overlapEnded(plugin: string): void {
    this.#admission.overlapEnded(plugin);
  }

  /** A plugin moved to `state`: what it was promised is used up, or begins to be. */
  onPluginState(plugin: string, state: PluginFacts["state"]): void {
    this.#admission.moved(plugin, state);
  }

  #memoryNow() {
    const measured = this.#options.measureNow() ?? this.#measured;
    return { measured, shedding: this.#controller.shedding, policy: this.#controller.policy };
  }

  /** Takes no further decisions; resolves when the running one is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#running, this.#restoring?.done]);
  }

  /** The plugins; one whose restore has begun counts as starting until that is over. */
  #plugins(): readonly PluginFacts[] {
    const restoring = this.#restoring?.plugin;
    return this.#options.actuator
      .plugins()
      .map((each) =>
        each.name === restoring && each.state === "shed" ? { ...each, state: "starting" as const } : each,
      );
  }

  async #evaluate(first: Measured): Promise<void> {
    let measured: Measured | null = first;
    while (measured && !this.#stopped) {
      if (measured !== first) this.#sightings.add(measured, this.#options.clock.monotonicMs());
      this.#controller.observe(measured, this.#options.clock.nowMs());
      // It measures what starts, which takes time that an emergency does not have: the promises of before will do.
      if (!this.#isEmergency(measured)) this.#controller.reserved(this.#admission.reservedBytes());
      const situation = this.situation(measured);
      const verdict = this.#controller.decide(situation, this.#forecast);
      this.#noteExhaustion(situation, verdict);
      this.#verdict = verdict;
      if (verdict.actions.length === 0) return;
      const record = this.#recordOf(situation, verdict);
      if (verdict.rule === "restore") {
        this.#startRestore(record, verdict.actions);
        return;
      }
      this.#controller.shedBegins();
      const seen = this.#seen(situation, verdict);
      measured = verdict.actions.every(({ urgent }) => urgent)
        ? await this.#killAll(record, verdict, seen)
        : await this.#shedAll(record, verdict, seen);
    }
  }

  /** The reading of `situation`, with how long before it the line that `rule` is about was crossed. */
  #seen(situation: Situation, { rule }: Verdict): Seen {
    const { policy } = this.#controller;
    const lines: Partial<Record<Verdict["rule"], number>> = {
      emergency: policy.emergencyRatio,
      threshold: shedLine(situation, policy),
    };
    return this.#sightings.seen(situation.measured, lines[rule] ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Sheds the verdict's victims in order; yields the reading after the last one, null when one could not be stopped.
   * The decision is written once the first victim has been signalled: the disk may be slow when memory is short.
   */
  async #shedAll(record: DecisionRecord, verdict: Verdict, seen: Seen): Promise<Measured | null> {
    const outcomes: Outcome[] = [];
    const begun: Promise<void>[] = [];
    let id: number | null = null;
    let after: Measured | null = null;
    let due: Seen = seen;
    for (const action of verdict.actions) {
      // Those who require the victim go first; memory may reach the emergency line while they are being stopped.
      const urgent = action.urgent || (this.#measured !== null && this.#isEmergency(this.#measured));
      const shedding = this.#execution.shed({ ...action, urgent }, verdict.reason, due);
      const decisionId: number = id ?? this.#open(record);
      id = decisionId;
      const recorded = shedding.then(({ outcome, measured }) => {
        outcomes.push(outcome);
        after = measured;
        this.#controller.shedDone(action.plugin, this.#options.clock.nowMs(), outcome.durationMs);
        this.#intervened(`${action.plugin} was shed`);
        this.#options.recorder.close(decisionId, outcomes);
      });
      begun.push(recorded);
      // One at a time; but in an emergency one that is stuck in the kernel must not hold up the next.
      await (urgent ? Promise.race([recorded, this.#patience()]) : recorded);
      due = this.#sightings.seen(after ?? seen.measured, Number.POSITIVE_INFINITY);
    }
    await Promise.all(begun);
    return outcomes.every(({ carried }) => carried.done) ? after : null;
  }

  /**
   * An emergency: all victims are signalled before anything else is done, each is seen to its end, and then the decision is
   * written and announced. Yields as `#shedAll`. No memory is set aside for this: with 8 MiB, given up right before the first
   * signal in a cgroup that is full, the signal left after 0.9 ms instead of 0.4 (median of 14), and no sooner at worst.
   */
  async #killAll(record: DecisionRecord, { actions, reason }: Verdict, seen: Seen): Promise<Measured | null> {
    this.#execution.strike(actions.map(({ plugin }) => plugin));
    const outcomes: Outcome[] = [];
    let last = seen.measured;
    const ending = actions.map(async (action, index) => {
      const about = index === 0 ? seen : { ...seen, noticedMs: null };
      const { outcome, measured } = await this.#execution.shed(action, reason, about);
      outcomes.push(sinceReading(outcome, last, measured));
      last = measured ?? last;
      this.#controller.shedDone(action.plugin, this.#options.clock.nowMs(), outcome.durationMs);
    });
    const id = this.#open(record);
    await Promise.all(ending);
    for (const { plugin } of outcomes) this.#intervened(`${plugin} was shed`);
    this.#options.recorder.close(id, outcomes);
    return outcomes.every(({ carried }) => carried.done) ? this.#options.measureNow() : null;
  }

  #patience(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(emergencyPatienceMs, resolve));
  }

  /** Restoring takes seconds; readings are judged meanwhile, and may shed the plugin that is starting. */
  #startRestore(record: DecisionRecord, [action]: readonly Action[]): void {
    if (!action) return;
    const id = this.#open(record);
    this.#controller.restoreBegins(action.plugin, this.#options.clock.nowMs());
    this.#intervened(`${action.plugin} is restored`);
    const done = this.#restoreOne(id, action, record.reason)
      .catch((error) => this.#options.log.error("scaler.restore_failed", { plugin: action.plugin, error }))
      .finally(() => {
        this.#restoring = null;
      });
    this.#restoring = { plugin: action.plugin, done };
  }

  async #restoreOne(id: number, action: Action, reason: string): Promise<void> {
    const outcome = await this.#execution.restore(action, reason);
    this.#options.recorder.close(id, [outcome]);
    const { done } = outcome.carried;
    this.#controller.changed(this.#options.clock.nowMs());
    this.#intervened(done ? `${action.plugin} was restored` : `${action.plugin} could not be restored`);
  }

  #intervened(what: string): void {
    this.#options.onIntervention(this.#options.clock.nowMs(), what);
  }

  #recordOf(situation: Situation, verdict: Verdict): DecisionRecord {
    const { rule, reason, actions, rejected, plan } = verdict;
    const policy = this.#controller.policy;
    return {
      situation,
      forecast: this.#forecast,
      policy,
      rule,
      reason,
      actions,
      rejected,
      plan,
      outcomes: [],
    };
  }

  /** Records a decision and announces it; yields its id. */
  #open(record: DecisionRecord): number {
    const decisionId = this.#options.recorder.open(record);
    const { rule, reason, actions } = record;
    const names = actions.map(({ kind, plugin }) => `${kind} ${plugin}`);
    this.#options.log.warn("scaler.decided", { decisionId, rule, reason, actions: names });
    this.#options.publisher.publish("scaling.decision", { decisionId, rule, reason, actions: names });
    return decisionId;
  }

  /** Over the shed line with nothing left to shed: recorded once, when it begins. */
  #noteExhaustion(situation: Situation, verdict: Verdict): void {
    const { usedBytes, budgetBytes } = situation.measured;
    const exhausted =
      verdict.actions.length === 0 && usedBytes / budgetBytes >= this.#controller.policy.shedRatio;
    if (exhausted && !this.#exhausted) {
      this.#open(this.#recordOf(situation, verdict));
      this.#options.log.error("scaler.exhausted", { reason: verdict.reason, usedBytes, budgetBytes });
    }
    // Only once memory is well under the line: hovering at it is one and the same trouble.
    const calm =
      usedBytes / budgetBytes < this.#controller.policy.shedRatio - this.#controller.policy.marginRatio;
    this.#exhausted = exhausted || (this.#exhausted && !calm);
  }
}
