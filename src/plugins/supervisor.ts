/** Keeps one plugin in the state that is wanted of it; see lifecycle.ts for the picture. */

import type { Timer } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import { afterFailure } from "./after-failure.ts";
import { Crew, type Enlisted } from "./crew.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { EndReport, Instance } from "./instance.ts";
import { isServing } from "./lifecycle.ts";
import type { Member } from "./member.ts";
import { newInstance } from "./new-instance.ts";
import { PluginRecord } from "./plugin-record.ts";
import type { PluginVersion } from "./plugin-version.ts";
import { Replacement } from "./replacement.ts";
import { RequestGate } from "./request-gate.ts";
import { RestartBackoff } from "./restart-backoff.ts";
import type { Standing } from "./standing.ts";
import { describeEnd, describeStop, stopReport } from "./stop-report.ts";
import { Strength } from "./strength.ts";
import type { StartOutcome, StopHow, StopIntent, StopReport, SupervisorPorts } from "./supervisor-ports.ts";
import { failed } from "./transport.ts";

/** How often a start that must wait for memory is tried again. */
const waitRetryMs = 2_000;

export class Supervisor extends PluginRecord implements Standing {
  readonly gate: RequestGate;
  readonly #ports: SupervisorPorts;
  readonly #crew: Crew;
  #backoff: RestartBackoff;
  #intent: "run" | StopIntent = "stopped";
  readonly #strength: Strength;
  readonly #idle: IdleWatch;
  /** Another version, or the same anew, takes over: requests wait for it. */
  readonly #replacement: Replacement;
  #starting: Promise<StartOutcome> | null = null;
  #stopping: Promise<StopReport> | null = null;
  #retry: Timer | null = null;
  /** What is being stopped gently is to be killed at once. */
  #hastened = false;

  constructor(version: PluginVersion, ports: SupervisorPorts) {
    super(version, ports.clock, (change) => ports.changed(change));
    this.#ports = ports;
    const { concurrency, queue } = version.manifest.limits;
    this.gate = new RequestGate(concurrency, ports.clock, queue);
    this.#backoff = this.#newBackoff();
    this.#crew = new Crew({
      monotonicMs: () => ports.clock.monotonicMs(),
      random: () => ports.random(),
      create: (of) => newInstance(this.name, of, ports, (what) => this.noteGarbage(what)),
      memberEnded: (member, report) => this.#memberEnded(member, report),
      otherEnded: (instance, report, wanted) => {
        const unfit = instance.endedByItself ? report.cause.text : "ended because it did not start";
        this.#exited(report, wanted ? describeStop(report) : unfit, wanted);
      },
    });
    this.#strength = new Strength(version.manifest.instances, {
      crew: this.#crew,
      clock: ports.clock,
      version: () => this.version,
      next: (ranMs) => this.#backoff.next(ports.clock.monotonicMs(), ranMs),
      mayStart: () => ports.mayStart(this.name),
      active: () => this.#intent === "run" && isServing(this.state) && !this.#stopping && !this.replacing,
      counted: () => this.#counted(),
      restarted: () => {
        this.restarts++;
      },
    });
    this.#replacement = new Replacement(this, {
      crew: this.#crew,
      ports,
      moving: () => this.#stopping ?? this.#starting,
      ending: () => this.#stopping !== null,
      adopt: (next) => this.#adopt(next),
      tookOver: (reason) => this.#tookOver(reason),
      end: (reason) => this.#end("stopped", { urgent: false, graceMs: ports.graceMs, reason }),
      settle: () => this.#settle(),
    });
    this.#idle = new IdleWatch(ports.clock, this.gate, (idleMs) => this.#rest(idleMs));
  }

  /** Every process, those that take requests first. */
  get instances(): readonly Instance[] {
    return this.#crew.instances;
  }

  /** Those that take requests. */
  get members(): readonly Member[] {
    return this.#crew.members;
  }

  /** The first process; null while there is none. */
  get instance(): Instance | null {
    return this.#crew.instances[0] ?? null;
  }

  /** Processes that are wanted while it runs. */
  get instancesWanted(): number {
    return this.#strength.wanted;
  }

  /** These do not answer while others do: they take no more requests and end, and others are started for them. */
  exchange(members: readonly Member[], why: string): void {
    this.#strength.exchange(members, why, this.#ports.graceMs);
  }

  /** Why fewer processes run than are wanted; null when all do. */
  get shortfall(): string | null {
    return this.#strength.shortfall;
  }

  /** A request may start it, or waits until it is back. */
  get startsOnRequest(): boolean {
    if (this.replacing && this.#intent === "run") return true;
    if (this.manifest.start !== "lazy") return false;
    return this.state === "discovered" || this.state === "starting" || this.#endedByItself;
  }

  /** It ended with code 0 or was idle, and was not stopped by anyone. */
  get #endedByItself(): boolean {
    return this.state === "stopped" && this.#intent === "run";
  }

  /** Its processes are being exchanged for others. */
  get replacing(): boolean {
    return this.replacement !== null;
  }

  /** That exchange, until it is over; null when there is none. Never rejects. */
  get replacement(): Promise<unknown> | null {
    return this.#replacement.running;
  }

  /** What is wanted of it now, whatever its state still is. */
  wanted(): "run" | StopIntent {
    return this.#intent;
  }

  /** The process for the next request; null when there is none. */
  pick(choice?: Parameters<Crew["pick"]>[0]): Member | null {
    return this.#crew.pick(choice);
  }

  #newBackoff(): RestartBackoff {
    return new RestartBackoff(this.manifest.recovery, () => this.#ports.random());
  }

  /** Makes it run, and waits until it is ready or the start failed. `automatic`: no person or scaler ordered it. */
  async start(reason: string, { automatic = false } = {}): Promise<StartOutcome> {
    this.#intent = "run";
    while (this.#stopping) await this.#stopping;
    if (this.#intent !== "run") return { ok: false, message: `${this.name} was ${this.#intent} meanwhile` };
    if (isServing(this.state)) return { ok: true };
    if (this.#starting) return this.#starting;
    this.#retry?.cancel();
    if (!automatic) this.#backoff.reset();
    this.#starting = this.#attempt(reason, automatic).finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #attempt(reason: string, automatic: boolean): Promise<StartOutcome> {
    const required = await this.#ports.requirements(this.name, this.requires);
    if (this.#intent !== "run") return { ok: false, message: `${this.name} was ${this.#intent} meanwhile` };
    if (!required.ok) return this.#blocked(required.reason, automatic);
    const permitted = automatic ? this.#ports.mayStart(this.name) : required;
    if (!permitted.ok) return this.#wait(permitted.reason);
    this.to("starting", reason);
    this.garbage = null;
    const { version } = this;
    const started = await this.#crew.start(version);
    if (version !== this.version && isServing(this.state)) {
      if (started.ok) await this.#crew.discard(started.instance);
      return { ok: true }; // Another version took over meanwhile.
    }
    if (!started.ok) return this.#startFailed(started);
    if (!this.#crew.admit([started.instance])) return this.#startFailed(await this.#lost(started.instance));
    this.#counted();
    this.to("ready", reason);
    await this.#strength.fill();
    return { ok: true };
  }

  /** Waits until it serves, starting it where a request may. */
  async untilServing(): Promise<StartOutcome> {
    if (!this.replacing) return this.#starting ?? this.start("first request", { automatic: true });
    await this.#replacement.running;
    return isServing(this.state) ? { ok: true } : { ok: false, message: `${this.name} is ${this.state}` };
  }

  /** What it requires does not run: it starts when that does. */
  #blocked(because: string, automatic: boolean): StartOutcome {
    if (!automatic && this.state === "shed")
      this.#intent = "shed"; // Whoever restores it decides when to try again.
    else this.to("blocked", because);
    return { ok: false, message: `${this.name}: ${because}` };
  }

  /** Not now: the state stays what it is, and a retry is set. */
  #wait(because: string): StartOutcome {
    this.reason = `waits: ${because}`;
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(waitRetryMs, () => void this.start("retried", { automatic: true }));
    return { ok: false, message: `${this.name} waits: ${because}` };
  }

  async #lost(instance: Instance): Promise<Enlisted & { ok: false }> {
    const report = await this.#crew.discard(instance);
    return { ok: false, stopped: false, message: report?.cause.text ?? "it ended", report };
  }

  #startFailed({ stopped, message, report }: Enlisted & { ok: false }): StartOutcome {
    const wanted = this.wanted();
    if (stopped)
      return { ok: false, message: this.lastError ?? `${this.name} was ${wanted} while it started` };
    this.lastError = message;
    if (!this.replacing) this.gate.turnAway(failed("unavailable", `${this.name} did not start: ${message}`));
    // A stop that came meanwhile sets the state when it is done.
    if (this.#stopping) return { ok: false, message };
    if (wanted === "run") this.#afterFailure(message, report?.status.exitCode ?? null, 0);
    else this.to(wanted, `was ${wanted} while it started`);
    return { ok: false, message };
  }

  /** It ended, and nobody here ended it. */
  #memberEnded(member: Member, report: EndReport): void {
    const text = describeEnd(report);
    this.#exited(report, text, false);
    this.lastError = text;
    this.#counted();
    const ranMs = this.#ports.clock.monotonicMs() - member.readyAtMs;
    if (this.#crew.members.length > 0) {
      this.#strength.lost(text, ranMs);
      return;
    }
    if (this.#stopping) return;
    if (!this.replacing) this.gate.turnAway(failed("crashed", text));
    this.#afterFailure(text, report.status.exitCode, ranMs);
  }

  #exited(report: EndReport, text: string, expected: boolean): void {
    const remaining = this.#crew.members.length;
    // One that was to take over and did not is no exit of what serves.
    if (!this.replacing || remaining === 0)
      this.lastExit = { atMs: this.#ports.clock.nowMs(), text, ...report.status };
    this.#ports.exited({ plugin: this.name, report, expected, remaining });
  }

  #afterFailure(text: string, exitCode: number | null, ranMs: number): void {
    const next = afterFailure(this.manifest, { text, exitCode }, () =>
      this.#backoff.next(this.#ports.clock.monotonicMs(), ranMs),
    );
    this.to(next.state, next.reason);
    if (next.restartInMs === null) return;
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(next.restartInMs, () => void this.#restart(text));
  }

  async #restart(text: string): Promise<void> {
    const said = await this.#ports.reset(this.version);
    if (said !== null) this.#ports.noted(this.name, `was reset after a failure: ${said}`);
    if (this.#intent !== "run" || this.state !== "failed") return;
    this.restarts++;
    await this.start(`restarted after: ${text}`, { automatic: true });
  }

  #counted(): void {
    const { length } = this.#crew.members;
    this.gate.setLimits(this.mostConcurrent, this.mostQueued);
    this.#ports.counted(this.name, length);
    if (length > 0) this.#idle.watch(this.manifest.idleStop ?? null);
  }

  /** Nobody asked it anything for so long that it may rest until somebody does. */
  #rest(idleMs: number): boolean {
    const needed = this.#ports.neededBy(this.name);
    if (needed !== null || !isServing(this.state) || this.replacing || this.#stopping) return false;
    const reason = `no request came for ${formatDuration(idleMs)} (idleStop); the next one starts it`;
    void this.#end("stopped", { urgent: false, graceMs: this.#ports.graceMs, reason });
    return true;
  }

  /** From now on so many processes are wanted; waits until they run or end, as far as that can be. */
  async scale(instances: number): Promise<void> {
    this.#strength.wanted = instances;
    if (!isServing(this.state)) return;
    const retired = this.#crew.retire(this.#crew.members.slice(instances), this.#ports.graceMs);
    this.#counted();
    await Promise.all([retired, this.#strength.fill()]);
  }

  /**
   * `next` takes over. Beside: its processes are started and proven healthy first, then take the requests, and the old
   * ones finish what they have; when one fails, nothing has changed. Not beside: the old ones are ended first, and
   * started again when the new ones do not run; requests wait meanwhile. What does not run just changes its version.
   */
  replace(next: PluginVersion, how: { beside: boolean; reason: string }): Promise<StartOutcome> {
    return this.#replacement.run(next, how);
  }

  /** After a replacement: whoever still waits is told, and the usual restarts go on. */
  #settle(): void {
    if (isServing(this.state)) {
      void this.#strength.fill();
      return;
    }
    this.gate.turnAway(failed("unavailable", `${this.name} is ${this.state}: ${this.reason}`));
    if (this.state === "stopped" && this.#intent === "run")
      void this.start("it was to run", { automatic: true });
  }

  #tookOver(reason: string): void {
    this.#counted();
    if (isServing(this.state)) return;
    // The old version ended meanwhile, and may be about to be started again.
    this.#retry?.cancel();
    this.to("starting", reason);
    this.to("ready", reason);
  }

  #adopt(next: PluginVersion): void {
    const before = this.manifest;
    this.version = next;
    this.#backoff = this.#newBackoff();
    if (before.instances !== next.manifest.instances) this.#strength.wanted = next.manifest.instances;
  }

  /** Ends it and keeps it from running until `start`. An urgent call hastens one that is under way. */
  stop(intent: StopIntent, how: StopHow): Promise<StopReport> {
    this.#intent = intent;
    return this.#end(intent, how);
  }

  /** Ends it because what it requires went down; it starts when that runs again. */
  block(how: StopHow): Promise<StopReport> {
    return this.#end("blocked", how);
  }

  async #end(to: "stopped" | "shed" | "disabled" | "blocked", how: StopHow): Promise<StopReport> {
    this.#retry?.cancel();
    this.#idle.cancel();
    this.#strength.cancel();
    if (this.#stopping) {
      if (how.urgent) this.hasten();
      const report = await this.#stopping;
      if (to === "blocked" ? this.#intent === "run" : this.#intent === to) this.to(to, how.reason);
      return report;
    }
    if (!this.#crew.instances.some(({ root }) => root !== null)) {
      this.to(to, how.reason);
      return stopReport([], 0, true);
    }
    this.#stopping = this.#stopCrew(how);
    try {
      return await this.#stopping;
    } finally {
      this.#stopping = null;
      const wanted = this.wanted();
      this.to(wanted === "run" ? to : wanted, how.reason);
    }
  }

  async #stopCrew({ urgent, graceMs, reason, before }: StopHow): Promise<StopReport> {
    const startMs = this.#ports.clock.monotonicMs();
    this.#hastened = urgent;
    if (before && !urgent) await before;
    this.to("draining", reason);
    if (!this.replacing) this.gate.turnAway(failed("stopped", `${this.name} is being stopped: ${reason}`));
    let drained = this.#crew.members.every(({ inFlight }) => inFlight === 0);
    const idle = Promise.all(this.#crew.members.map((member) => member.idle()));
    void idle.then(() => {
      drained = true;
    });
    const reports = await this.#crew.stop({ urgent: this.#hastened, graceMs });
    this.#ports.counted(this.name, 0);
    const report = stopReport(reports, this.#ports.clock.monotonicMs() - startMs, drained);
    if (!report.gone || report.killed || report.leftBehind > 0) this.lastError = report.detail;
    return report;
  }

  /** Kills at once what is being stopped gently. */
  hasten(): void {
    this.#hastened = true;
    this.#crew.hasten();
  }

  /** Tells what the last health check said; a plugin that serves is ready or degraded by it. */
  judge(healthy: boolean, detail: string): void {
    if (this.state === "ready" && !healthy) this.to("degraded", detail);
    else if (this.state === "degraded" && healthy) this.to("ready", "healthy again");
    else if (this.state === "degraded") this.reason = detail;
  }
}
