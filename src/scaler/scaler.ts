/**
 * Carries decisions out. A reading or a forecast comes in; `decide` answers; its actions are taken one at a time,
 * memory is measured again after each, and every decision is recorded with what came of it.
 */

import { Admission, type MemoryNow, type Permission } from "./admission.ts";
import { Announcer } from "./announcer.ts";
import { Controller } from "./controller.ts";
import { Execution, reclaimMs, type Seen } from "./execution.ts";
import { Exhaustion } from "./exhaustion.ts";
import { killAll } from "./kill-all.ts";
import { Leases } from "./leases.ts";
import type { DecisionRecord, Outcome } from "./ports.ts";
import { Preflight } from "./preflight.ts";
import { isQuiet } from "./quiet.ts";
import { Restores } from "./restores.ts";
import type { Promised } from "./room.ts";
import type { ScalerMode, ScalerOptions, ScalerStatus } from "./scaler-options.ts";
import { Sightings } from "./sightings.ts";
import type {
  Action,
  ForecastFacts,
  GivingFacts,
  Measured,
  PluginFacts,
  Policy,
  Situation,
  Verdict,
} from "./situation.ts";
import { WallClock } from "./wall-clock.ts";
import { Wishes } from "./wishes.ts";

export class Scaler {
  readonly #options: ScalerOptions;
  readonly #execution: Execution;
  readonly #admission: Admission;
  readonly #controller: Controller;
  readonly #announcer: Announcer;
  readonly #wishes: Wishes;
  #mode: ScalerMode;
  readonly #sightings = new Sightings();
  /** Memory for operations that are no plugins. */
  readonly preflight: Preflight;
  #forecast: ForecastFacts | null = null;
  #measured: Measured | null = null;
  #verdict: Verdict | null = null;
  readonly #wallClock: WallClock;
  readonly #hasShed = () => this.#options.actuator.hasShed();
  #running: Promise<void> | null = null;
  readonly #restores: Restores;
  /** The newest reading that nothing followed from, and when it was; null: the newest was decided on. */
  #quiet: { measured: Measured; atMs: number } | null = null;
  readonly #exhaustion = new Exhaustion();
  #stopped = false;

  constructor(options: ScalerOptions) {
    this.#options = options;
    this.#execution = new Execution(options);
    const ended = (id: number, outcome: Outcome) => this.#restoreEnded(id, outcome);
    this.#restores = new Restores({ log: options.log, execution: this.#execution, ended });
    this.#controller = new Controller(options.policy);
    this.#announcer = new Announcer(options);
    this.#wishes = new Wishes(options.recorder, (record) => this.#announcer.open(record));
    this.#mode = options.mode ?? "act";
    const leases = new Leases(options.newLeaseId);
    this.#admission = new Admission({ ...options, leases });
    this.preflight = new Preflight({
      clock: options.clock,
      admission: this.#admission,
      leases,
      memoryNow: () => this.#memoryNow(),
      makeRoom: (next) => this.#makeRoom(next),
    });
    this.#wallClock = new WallClock(options.clock);
  }

  status(): ScalerStatus {
    return {
      mode: this.#mode,
      wish: this.#wishes.current,
      shedding: this.#controller.shedding,
      acting: this.#execution.stopping,
      lastChangeMs: this.#controller.lastChangeMs,
      verdict: this.#quiet ? this.#quietVerdict(this.#quiet) : this.#verdict,
      measured: this.#measured,
      forecast: this.#forecast,
    };
  }

  /** Thresholds and order from now on. */
  setPolicy(policy: Policy): void {
    this.#controller.policy = policy;
  }

  /** Acting or observing from now on. What is under way is finished; a plugin that is shed stays so until it acts again. */
  setMode(mode: ScalerMode): void {
    this.#mode = mode;
    if (mode === "act") this.#wishes.close();
  }

  /** The newest forecast; null when there is none. The next reading is judged by it. */
  setForecast(forecast: ForecastFacts | null): void {
    this.#forecast = forecast;
  }

  /** A sample of the host: its use (0..1), and all requests so far. */
  onSample(usedRatio: number, requests: number): void {
    const nowMs = this.#options.clock.nowMs();
    this.#tell((each) => {
      each.observeSample(usedRatio, nowMs);
      each.observeRequests(requests, nowMs);
    });
  }

  /** What was sampled before, for what is usual at this time of the day. */
  remember(usedRatio: number, atMs: number): void {
    this.#tell((each) => each.observeSample(usedRatio, atMs));
  }

  /** Percent (0..100) of the last 10 s in which everything waited for memory; null: not known. */
  onStall(fullPercent: number | null): void {
    this.#tell((each) => each.observeStall(fullPercent));
  }

  /**
   * A fresh reading of memory. Starts an evaluation unless one runs; in that case an emergency still hastens the
   * plugin that is being stopped gently.
   */
  onReading(measured: Measured): void {
    this.#measured = measured;
    this.#sightings.add(measured, this.#options.clock.monotonicMs());
    if (this.#stopped) return;
    // Changes are told in wall-clock time, and a dwell lasts as long as it says: when that clock was set, they move with it.
    const setByMs = this.#wallClock.setByMs();
    if (setByMs !== 0) this.#tell((each) => each.clockMoved(setByMs));
    if (this.#running) {
      if (this.#mode === "act" && this.#isEmergency(measured)) this.#execution.hasten(measured);
      return;
    }
    const nowMs = this.#options.clock.nowMs();
    this.#controller.observe(measured, nowMs);
    if (this.#passes(measured, nowMs)) return;
    this.#running = this.#evaluate(measured, nowMs)
      .catch((error) => this.#options.log.error("scaler.failed", { error }))
      .finally(() => {
        this.#running = null;
      });
  }

  /** Whether nothing follows from a reading, told without the plugins. Shadows judge every reading with them. */
  #passes(measured: Measured, atMs: number): boolean {
    this.#quiet = null;
    if (this.#options.shadows?.watching) return false;
    const { policy } = this.#controller;
    const situation = this.#controller.situation(atMs, measured, []);
    if (!isQuiet(situation, this.#forecast, policy, this.#hasShed)) return false;
    this.#quiet = { measured, atMs };
    this.#verdict = null;
    this.#exhaustion.eases(situation, policy);
    if (this.#mode === "observe") this.#wishes.none(atMs);
    return true;
  }

  /** Why nothing is done, for those who ask: worked out with the plugins as they are when somebody asks. */
  #quietVerdict({ measured, atMs }: { measured: Measured; atMs: number }): Verdict {
    return this.#controller.decide(this.situation(measured, this.#plugins(), atMs), this.#forecast);
  }

  /** What happens to the host, the acting policy learns first. */
  #tell(tell: (controller: Controller) => void): void {
    tell(this.#controller);
    this.#options.shadows?.tell(tell);
  }

  #isEmergency({ usedBytes, budgetBytes }: Measured): boolean {
    return usedBytes / budgetBytes >= this.#controller.policy.emergencyRatio;
  }

  /** The situation as it would be judged now. */
  situation(measured: Measured, plugins = this.#plugins(), nowMs = this.#options.clock.nowMs()): Situation {
    // It measures what starts, which takes time that an emergency does not have: the promises of before will do.
    if (!this.#isEmergency(measured)) this.#controller.reserved(this.#admission.reservedBytes());
    return this.#controller.situation(nowMs, measured, plugins);
  }

  /**
   * Whether memory allows the plugin to be started now, and if not why; see `Admission`. Observing, it always does: to
   * hold one back would be to act.
   */
  mayStart(plugin: string): Permission {
    const permission = this.#admission.mayStart(plugin, this.#memoryNow());
    return this.#mode === "observe" ? { ok: true } : permission;
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
    if (state === "starting") {
      const nowMs = this.#options.clock.nowMs();
      this.#tell((each) => each.started(nowMs));
    }
    this.#admission.moved(plugin, state, () => this.#memoryNow());
  }

  /** What local models are about to give back; and whether one is loading, so that its growth says nothing of what comes. */
  onModels(giving: GivingFacts | null, loading: boolean): void {
    this.#tell((each) => each.gives(giving));
    if (loading) this.#tell((each) => each.started(this.#options.clock.nowMs()));
  }

  /** What is promised to starts, second copies and leases, and how much of it was taken. */
  promised(): readonly Promised[] {
    return this.#admission.promised();
  }

  #memoryNow(): MemoryNow {
    const measured = this.#options.measureNow() ?? this.#measured;
    const situation = measured && this.situation(measured);
    return { situation, forecast: this.#forecast, policy: this.#controller.policy };
  }

  /**
   * Sheds what `next` says of a fresh situation, until it says null or one could not be stopped. Not while a decision is
   * carried out, and none is taken meanwhile: an emergency hastens what is being stopped.
   */
  async #makeRoom(next: (situation: Situation) => Verdict | null): Promise<void> {
    while (this.#running) await this.#running;
    const running = this.#shedWhile(next).finally(() => {
      this.#running = null;
    });
    // Others wait for the end of it, however it ends; who asked is told of a failure.
    this.#running = running.catch((error) => this.#options.log.error("scaler.failed", { error }));
    await running;
  }

  async #shedWhile(next: (situation: Situation) => Verdict | null): Promise<void> {
    let measured = this.#options.measureNow();
    while (measured && !this.#stopped) {
      const situation = this.situation(measured);
      const verdict = next(situation);
      if (!verdict) return;
      this.#verdict = verdict;
      if (this.#mode === "observe") {
        this.#announcer.open({ ...this.#recordOf(situation, verdict), observed: true });
        return;
      }
      const seen = { measured, atMonotonicMs: this.#options.clock.monotonicMs(), noticedMs: null };
      measured = await this.#shedAll(this.#recordOf(situation, verdict), verdict, seen);
    }
  }

  /** Takes no further decisions; resolves when the running one is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wishes.close();
    this.#options.shadows?.close();
    await Promise.all([this.#running, this.#restores.idle()]);
  }

  /** The plugins; one whose restore has begun counts as starting until that is over. */
  #plugins(): readonly PluginFacts[] {
    return this.#restores.withStarting(this.#options.actuator.plugins());
  }

  /** Decides on a reading that the controller has observed, and on those after each shed. */
  async #evaluate(first: Measured, firstMs: number): Promise<void> {
    let [measured, nowMs]: [Measured | null, number] = [first, firstMs];
    while (measured && !this.#stopped) {
      if (measured !== first) {
        nowMs = this.#options.clock.nowMs();
        this.#sightings.add(measured, this.#options.clock.monotonicMs());
        this.#controller.observe(measured, nowMs);
      }
      const plugins = this.#plugins();
      const situation = this.situation(measured, plugins);
      const verdict = this.#controller.decide(situation, this.#forecast);
      const acts = this.#mode === "act";
      const { reservedBytes = 0 } = situation;
      const judged = { nowMs, measured, plugins, reservedBytes, forecast: this.#forecast, verdict, acts };
      if (this.#exhaustion.begins(situation, verdict, this.#controller.policy)) {
        this.#announcer.open(this.#recordOf(situation, verdict));
        this.#options.log.error("scaler.exhausted", { reason: verdict.reason, ...measured });
      }
      // Nothing is done, and why not is of interest: told once, when it begins.
      if (acts && verdict.rule === "models-first" && this.#verdict?.rule !== verdict.rule)
        this.#announcer.open(this.#recordOf(situation, verdict));
      this.#verdict = verdict;
      if (!acts) this.#wishes.follow(verdict, nowMs, () => this.#recordOf(situation, verdict));
      if (!acts || verdict.actions.length === 0 || verdict.rule === "restore") {
        this.#options.shadows?.judge(judged);
        if (acts && verdict.rule === "restore")
          this.#startRestore(this.#recordOf(situation, verdict), verdict.actions);
        return;
      }
      this.#controller.shedBegins();
      const record = this.#recordOf(situation, verdict);
      const seen = this.#sightings.seenFor(verdict.rule, situation, this.#controller.policy);
      const shedding: Promise<Measured | null> = verdict.actions.every(({ urgent }) => urgent)
        ? this.#killAll(record, verdict, seen)
        : this.#shedAll(record, verdict, seen);
      // The first victim has been signalled: nothing waits for the shadows.
      this.#options.shadows?.judge(judged);
      measured = await shedding;
    }
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
      const decisionId: number = id ?? this.#announcer.open(record);
      id = decisionId;
      const recorded = shedding.then(({ outcome, measured }) => {
        outcomes.push(outcome);
        after = measured;
        this.#noteShed(action, outcome, verdict);
        this.#intervened(`${action.plugin} was shed`);
        this.#options.recorder.close(decisionId, outcomes);
      });
      begun.push(recorded);
      // One at a time; but in an emergency one that is stuck in the kernel must not hold up the next.
      await (urgent ? Promise.race([recorded, this.#execution.patience()]) : recorded);
      due = this.#sightings.seen(after ?? seen.measured, Number.POSITIVE_INFINITY);
    }
    await Promise.all(begun);
    return outcomes.every(({ carried }) => carried.done) ? after : null;
  }

  /** An emergency: the decision is written and announced once every victim is signalled. Yields as `#shedAll`. */
  async #killAll(record: DecisionRecord, verdict: Verdict, seen: Seen): Promise<Measured | null> {
    const killing = killAll(this.#execution, verdict, seen, (action, outcome) =>
      this.#noteShed(action, outcome, verdict),
    );
    const id = this.#announcer.open(record);
    const outcomes = await killing;
    for (const { plugin } of outcomes) this.#intervened(`${plugin} was shed`);
    this.#options.recorder.close(id, outcomes);
    return outcomes.every(({ carried }) => carried.done) ? this.#options.measureNow() : null;
  }

  /** One that made room for an operation did not bring pressure: it is not put off. */
  #noteShed({ plugin }: Action, outcome: Outcome, { rule }: Verdict): void {
    const nowMs = this.#options.clock.nowMs();
    this.#tell((each) =>
      rule === "preflight" ? each.changed(nowMs) : each.shedDone(plugin, nowMs, reclaimMs(outcome)),
    );
  }

  /** Restoring takes seconds; readings are judged meanwhile, and may shed the plugin that is starting. */
  #startRestore(record: DecisionRecord, [action]: readonly Action[]): void {
    if (!action) return;
    const id = this.#announcer.open(record);
    const nowMs = this.#options.clock.nowMs();
    this.#tell((each) => each.restoreBegins(action.plugin, nowMs));
    this.#intervened(`${action.plugin} is restored`);
    this.#restores.begin(id, action, record.reason);
  }

  #restoreEnded(id: number, outcome: Outcome): void {
    this.#options.recorder.close(id, [outcome]);
    const { plugin, carried } = outcome;
    const nowMs = this.#options.clock.nowMs();
    this.#tell((each) => each.changed(nowMs));
    this.#intervened(carried.done ? `${plugin} was restored` : `${plugin} could not be restored`);
  }

  #intervened(what: string): void {
    this.#options.onIntervention(this.#options.clock.nowMs(), what);
  }

  #recordOf(situation: Situation, { rule, reason, actions, rejected, plan }: Verdict): DecisionRecord {
    const made = { situation, forecast: this.#forecast, policy: this.#controller.policy };
    return { ...made, rule, reason, actions, rejected, plan, outcomes: [] };
  }
}
