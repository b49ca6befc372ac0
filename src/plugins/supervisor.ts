/** Keeps one plugin in the state that is wanted of it; see lifecycle.ts for the picture. */

import type { Timer } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import { type EndReport, Instance } from "./instance.ts";
import { isServing, mayMove, type PluginState } from "./lifecycle.ts";
import type { Manifest } from "./manifest.ts";
import { RequestGate } from "./request-gate.ts";
import { RestartBackoff } from "./restart-backoff.ts";
import type { Standing } from "./standing.ts";
import type { StartOutcome, StopIntent, StopReport, SupervisorPorts } from "./supervisor-ports.ts";
import { failed } from "./transport.ts";

/** How often a start that must wait (memory, a requirement) is tried again. */
const waitRetryMs = 2_000;

export class Supervisor implements Standing {
  readonly manifest: Manifest;
  readonly gate: RequestGate;
  state: PluginState = "discovered";
  reason = "not started yet";
  sinceMs: number;
  /** Starts again after an end nobody wanted. */
  restarts = 0;
  lastExit: { atMs: number; text: string; exitCode: number | null; signal: string | null } | null = null;
  lastError: string | null = null;
  /** What it wrote that is no message: the latest of it. */
  garbage: string | null = null;
  instance: Instance | null = null;
  readonly #ports: SupervisorPorts;
  readonly #backoff: RestartBackoff;
  #intent: "run" | StopIntent = "stopped";
  #starting: Promise<StartOutcome> | null = null;
  #stopping: { promise: Promise<StopReport>; instance: Instance } | null = null;
  #retry: Timer | null = null;
  /** Did not become ready, and is on its way out. */
  #failing: Instance | null = null;

  constructor(manifest: Manifest, ports: SupervisorPorts) {
    this.manifest = manifest;
    this.#ports = ports;
    this.sinceMs = ports.clock.nowMs();
    this.gate = new RequestGate(manifest.limits.concurrency, ports.clock, manifest.limits.queue);
    this.#backoff = new RestartBackoff(manifest.recovery, () => ports.random());
  }

  get name(): string {
    return this.manifest.name;
  }

  get platform(): string {
    return this.manifest.platform;
  }

  get requestTimeoutMs(): number {
    return this.manifest.limits.requestTimeoutMs;
  }

  get requires(): readonly string[] {
    return this.manifest.requires.map(({ name }) => name);
  }

  /** A request may start it. */
  get startsOnRequest(): boolean {
    return this.manifest.start === "lazy" && (this.state === "discovered" || this.#endedByItself);
  }

  /** It ended with code 0 and was not stopped by anyone. */
  get #endedByItself(): boolean {
    return this.state === "stopped" && this.#intent === "run";
  }

  /** What is wanted of it now, whatever its state still is. */
  wanted(): "run" | StopIntent {
    return this.#intent;
  }

  #to(state: PluginState, reason: string): void {
    const from = this.state;
    this.reason = reason;
    if (from === state) return;
    if (!mayMove(from, state)) throw new Error(`plugin ${this.name}: no way from ${from} to ${state}`);
    this.state = state;
    this.sinceMs = this.#ports.clock.nowMs();
    this.#ports.changed({ plugin: this.name, from, to: state, reason });
  }

  /** Makes it run, and waits until it is ready or the start failed. `automatic`: no person or scaler ordered it. */
  async start(reason: string, { automatic = false } = {}): Promise<StartOutcome> {
    this.#intent = "run";
    while (this.#stopping) await this.#stopping.promise;
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
    const required = await this.#ports.requirements(this.name);
    const permitted = required.ok && automatic ? this.#ports.mayStart(this.name) : required;
    if (this.#intent !== "run") return { ok: false, message: `${this.name} was ${this.#intent} meanwhile` };
    if (!permitted.ok) return this.#wait(permitted.reason, automatic);
    this.#to("starting", reason);
    this.garbage = null;
    const instance = this.#newInstance();
    this.instance = instance;
    const result = await instance.start();
    if (this.instance !== instance || this.#stopping)
      return { ok: false, message: this.lastError ?? `${this.name} was ${this.#intent} while it started` };
    if (result.ok) {
      this.#to("ready", reason);
      return result;
    }
    return this.#startFailed(instance, result.message);
  }

  /** Not now: the state stays what it is, and a retry is set. */
  #wait(because: string, automatic: boolean): StartOutcome {
    if (!automatic && this.state === "shed") {
      // Whoever restores it decides when to try again.
      this.#intent = "shed";
      return { ok: false, message: `${this.name}: ${because}` };
    }
    this.reason = `waits: ${because}`;
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(waitRetryMs, () => void this.start("retried", { automatic: true }));
    return { ok: false, message: automatic ? `${this.name} waits: ${because}` : `${this.name}: ${because}` };
  }

  #newInstance(): Instance {
    const seen = new Set<string>();
    const instance: Instance = new Instance(this.#ports.plan(), {
      ...this.#ports.instance,
      emitLog: (stream, line) => this.#ports.emitLog(this.name, stream, line),
      junk: (what) => {
        this.garbage = what;
        const kind = what.split(":")[0] ?? what;
        if (seen.has(kind) || seen.size >= 8) return;
        seen.add(kind);
        this.#ports.noted(this.name, `writes what ${what}`);
      },
    });
    void instance.ended.then((report) => this.#ended(instance, report));
    return instance;
  }

  async #startFailed(instance: Instance, message: string): Promise<StartOutcome> {
    // Its end is handled here and not in #ended: the cause is the failed start.
    this.#failing = instance;
    if (instance.root) {
      const idle = () => Promise.resolve();
      const report = await (instance.endedByItself
        ? instance.ended
        : instance.stop({ urgent: true, graceMs: 0, idle }));
      this.#exited(
        report,
        instance.endedByItself ? report.cause.text : "ended because it did not start",
        false,
      );
    }
    if (this.instance === instance) this.instance = null;
    const said = instance.lastLine === null ? "" : `; last words: ${instance.lastLine}`;
    this.lastError = `${message}${said}`;
    this.gate.turnAway(failed("unavailable", `${this.name} did not start: ${message}`));
    const wanted = this.wanted();
    if (wanted === "run") this.#afterFailure(this.lastError, this.lastExit?.exitCode ?? null);
    else this.#to(wanted, `was ${wanted} while it started`);
    return { ok: false, message: this.lastError };
  }

  /** It ended, and nobody here ended it. */
  #ended(instance: Instance, report: EndReport): void {
    if (this.instance !== instance || this.#failing === instance || this.#stopping) return;
    this.instance = null;
    const outlived =
      report.leftBehind > 0 ? `; ${plural(report.leftBehind)} outlived it and had to be killed` : "";
    const said =
      report.lastLine !== null && report.status.exitCode !== 0 ? `; last words: ${report.lastLine}` : "";
    const text = `${report.cause.text}${outlived}${said}`;
    this.#exited(report, text, false);
    this.lastError = text;
    this.gate.turnAway(failed("crashed", text));
    this.#afterFailure(text, report.status.exitCode);
  }

  #exited(report: EndReport, text: string, expected: boolean): void {
    this.lastExit = { atMs: this.#ports.clock.nowMs(), text, ...report.status };
    this.#ports.exited({ plugin: this.name, report, expected });
  }

  #afterFailure(text: string, exitCode: number | null): void {
    const { restart } = this.manifest.recovery;
    if (restart === "on-failure" && exitCode === 0) {
      this.#to("stopped", `${text} (recovery.restart: on-failure)`);
      return;
    }
    if (restart === "never") {
      this.#to("failed", `${text}; not restarted (recovery.restart: never)`);
      return;
    }
    const next = this.#backoff.next(this.#ports.clock.monotonicMs());
    if (next.kind === "crash-loop") {
      const window = formatDuration(this.manifest.recovery.maxRestarts.windowMs);
      this.#to(
        "crash-loop",
        `${text}; restarted ${next.restarts} times in ${window}, now it waits for a person`,
      );
      return;
    }
    this.#to("failed", `${text}; restart in ${formatDuration(next.delayMs)}`);
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(next.delayMs, () => {
      this.restarts++;
      void this.start(`restarted after: ${text}`, { automatic: true });
    });
  }

  /** Ends it and keeps it from running until `start`. An urgent call hastens one that is under way. */
  async stop(
    intent: StopIntent,
    how: { urgent: boolean; graceMs: number; reason: string },
  ): Promise<StopReport> {
    this.#intent = intent;
    this.#retry?.cancel();
    if (this.#stopping) {
      if (how.urgent) this.hasten();
      const report = await this.#stopping.promise;
      if (this.#intent === intent) this.#to(intent, how.reason);
      return report;
    }
    const { instance } = this;
    if (!instance?.root) {
      this.#to(intent, how.reason);
      return {
        gone: true,
        killed: false,
        durationMs: 0,
        drained: true,
        leftBehind: 0,
        detail: "it was not running",
      };
    }
    this.#stopping = { promise: this.#stopInstance(instance, how), instance };
    try {
      return await this.#stopping.promise;
    } finally {
      this.#stopping = null;
      const wanted = this.wanted();
      this.#to(wanted === "run" ? intent : wanted, how.reason);
    }
  }

  async #stopInstance(
    instance: Instance,
    { urgent, graceMs, reason }: { urgent: boolean; graceMs: number; reason: string },
  ): Promise<StopReport> {
    const startMs = this.#ports.clock.monotonicMs();
    this.#to("draining", reason);
    this.gate.turnAway(failed("stopped", `${this.name} is being stopped: ${reason}`));
    let drained = this.gate.running === 0;
    const idle = async () => {
      await this.gate.idle();
      drained = true;
    };
    const report = await instance.stop({ urgent, graceMs, idle });
    this.instance = null;
    const detail = describeStop(report);
    if (!report.gone || report.killed || report.leftBehind > 0) this.lastError = detail;
    this.#exited(report, detail, true);
    const { gone, killed, leftBehind } = report;
    return {
      gone,
      killed,
      leftBehind,
      drained,
      durationMs: this.#ports.clock.monotonicMs() - startMs,
      detail,
    };
  }

  /** Kills at once what is being stopped gently. */
  hasten(): void {
    this.#stopping?.instance.hasten();
  }

  /** Tells what the last health check said; a plugin that serves is ready or degraded by it. */
  judge(healthy: boolean, detail: string): void {
    if (this.state === "ready" && !healthy) this.#to("degraded", detail);
    else if (this.state === "degraded" && healthy) this.#to("ready", "healthy again");
    else if (this.state === "degraded") this.reason = detail;
  }
}

const plural = (count: number): string => (count === 1 ? "1 process" : `${count} processes`);

function describeStop(report: EndReport): string {
  const parts = [report.cause.text];
  if (report.leftBehind > 0) parts.push(`${plural(report.leftBehind)} it had started had to be killed`);
  if (!report.gone) parts.push("some of its processes are still there: they are stuck in the kernel");
  return parts.join("; ");
}
