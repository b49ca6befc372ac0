/**
 * The health loop: each plugin once a round, spread over the round.
 *
 *   round |0---------1---------2---------3---------|0-------- ...      4 plugins, one check every interval / 4
 *
 * One timer walks the round's slots. A slot whose time passed by more than its own width (at least 250 ms) is skipped
 * until the next round: after a suspended machine or a blocked loop nothing is caught up. A beat that finds the
 * plugin's former check under way waits for it, at most half an interval; so no plugin ever has two.
 *
 * Under strain (memory is short) the plugins that are dispensable are checked in every third round only, a third of them
 * in each; an exit is noticed as ever.
 */

import type { Clock, Timer } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import { CheckCall } from "./check-call.ts";
import { judge, standingOf } from "./judgement.ts";
import type {
  CheckAnswer,
  HealthObserver,
  HealthResult,
  PlatformHealth,
  Probe,
  ProbedPlugin,
} from "./probe.ts";
import { seededUnit, staggeredOffsetsMs } from "./stagger.ts";

export interface HealthMonitorOptions {
  clock: Clock;
  log: Log;
  events: Publisher;
  probe: Probe;
  observers: readonly HealthObserver[];
  /** Each plugin is checked this often. */
  intervalMs: number;
  timeoutMs: number;
  /** A slower answer is degraded. */
  slowMs: number;
  /** Failures in a row that mark a platform failed. */
  failures: number;
  /** For the jitter; the same seed gives the same times. */
  seed: number;
  /** Whether `plugin` is to be checked less often now; asked once a round. */
  sparse?: (plugin: string) => boolean;
  /** Told what a beat took of the loop, in seconds: to find what is due and to ask, not to wait for the answers. */
  beaten?: (seconds: number) => void;
}

interface Watched {
  health: PlatformHealth;
  call: CheckCall | null;
  /** Monotonic time of a beat that found `call` under way. */
  waitingSince: number | null;
}

/** A slot this late is always still taken: it bounds a burst to what falls due in that time. */
const leastToleranceMs = 250;
/** A plugin that is to be checked less often is left out of all rounds but every third. */
const sparseRounds = 3;
/** Timers may fire a little early. */
const earlyMs = 1;
/** A detail comes from the plugin: longer ones are cut. */
const longestDetailChars = 500;

export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #unit: () => number;
  /** By plugin name; holds exactly what the probe lists. */
  readonly #watched = new Map<string, Watched>();
  #timer: Timer | null = null;
  #running = false;
  #roundAt = 0;
  #round = 0;
  #slots: { plugin: string; dueAt: number }[] = [];
  #nextSlot = 0;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.#unit = seededUnit(options.seed);
  }

  /** Begins the first round now. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#roundAt = this.#now();
    this.#beginRound();
  }

  /** Ends the loop and drops the checks under way. */
  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    for (const watched of this.#watched.values()) dropCall(watched);
  }

  /** Every plugin's health as of now, in the order in which they first appeared. */
  status(): PlatformHealth[] {
    this.refresh();
    return [...this.#watched.values()].map((watched) => ({ ...watched.health }));
  }

  /** Reads again which plugins should run, and announces what that changes. Call when a plugin changed its state. */
  refresh(): void {
    const listed = this.#options.probe.plugins();
    const names = new Set(listed.map((plugin) => plugin.name));
    for (const [name, watched] of this.#watched) {
      if (names.has(name)) continue;
      dropCall(watched);
      this.#watched.delete(name);
    }
    for (const plugin of listed) this.#reconcile(plugin);
  }

  /** A plugin's process ended without being asked to: its platform is failed at once. Unknown names are ignored. */
  processExited(name: string, detail = "its process exited"): void {
    const plugin = this.#options.probe.plugins().find((candidate) => candidate.name === name);
    if (!plugin) return;
    const watched = this.#reconcile(plugin);
    dropCall(watched);
    if (!plugin.expected) return;
    watched.health.consecutiveFailures++;
    watched.health.durationMs = null;
    this.#setStatus(watched.health, "failed", detail);
    this.#tell(watched.health, "exited", null);
  }

  #now(): number {
    return this.#options.clock.monotonicMs();
  }

  #beginRound(): void {
    this.refresh();
    const round = this.#round++;
    const { sparse } = this.#options;
    const expected = this.#options.probe
      .plugins()
      .filter(({ expected }) => expected)
      .filter(({ name }, index) => (round + index) % sparseRounds === 0 || !sparse?.(name));
    const offsets = staggeredOffsetsMs(expected.length, this.#options.intervalMs, this.#unit);
    this.#slots = expected.map((plugin, index) => ({
      plugin: plugin.name,
      dueAt: this.#roundAt + (offsets[index] ?? 0),
    }));
    this.#nextSlot = 0;
    this.#armNext();
  }

  #armNext(): void {
    // An observer may have stopped the monitor in the middle of a beat.
    if (!this.#running) return;
    const dueAt = this.#slots[this.#nextSlot]?.dueAt ?? this.#roundAt + this.#options.intervalMs;
    this.#timer = this.#options.clock.after(Math.max(0, dueAt - this.#now()), () => this.#timedBeat());
  }

  #timedBeat(): void {
    const beganAt = this.#now();
    this.#beat();
    this.#options.beaten?.((this.#now() - beganAt) / 1_000);
  }

  #beat(): void {
    const { intervalMs } = this.#options;
    const now = this.#now();
    const toleranceMs = Math.max(leastToleranceMs, intervalMs / Math.max(1, this.#slots.length));
    let slot = this.#slots[this.#nextSlot];
    while (slot && slot.dueAt <= now + earlyMs) {
      if (now - slot.dueAt <= toleranceMs) this.#due(slot.plugin);
      this.#nextSlot++;
      slot = this.#slots[this.#nextSlot];
    }
    const rounds = Math.floor((now + earlyMs - this.#roundAt) / intervalMs);
    if (rounds < 1) {
      this.#armNext();
      return;
    }
    this.#roundAt += rounds * intervalMs;
    this.#beginRound();
  }

  #due(name: string): void {
    const watched = this.#watched.get(name);
    const plugin = this.#options.probe.plugins().find((candidate) => candidate.name === name);
    if (!watched || !plugin?.expected) return;
    if (watched.call) watched.waitingSince = this.#now();
    else this.#check(watched);
  }

  #check(watched: Watched): void {
    const { clock, probe, timeoutMs } = this.#options;
    watched.waitingSince = null;
    watched.call = new CheckCall({
      clock,
      probe,
      plugin: watched.health.plugin,
      timeoutMs,
      answered: (answer, durationMs) => this.#answered(watched, answer, durationMs),
      settled: () => this.#settled(watched),
    });
  }

  #settled(watched: Watched): void {
    const { waitingSince } = watched;
    dropCall(watched);
    if (waitingSince === null || this.#now() - waitingSince > this.#options.intervalMs / 2) return;
    this.#due(watched.health.plugin);
  }

  #answered(watched: Watched, answer: CheckAnswer, durationMs: number): void {
    const { health } = watched;
    const judgement = judge(answer, durationMs, health, this.#options);
    health.lastCheckMs = this.#options.clock.nowMs();
    health.durationMs = judgement.failure === null ? durationMs : null;
    health.consecutiveFailures = judgement.consecutiveFailures;
    this.#setStatus(health, judgement.status, judgement.detail);
    this.#tell(health, judgement.failure, durationMs);
  }

  #reconcile(plugin: ProbedPlugin): Watched {
    const known = this.#watched.get(plugin.name);
    const watched = known ?? this.#watch(plugin);
    const { health } = watched;
    health.platform = plugin.platform;
    if (!plugin.expected) {
      const { status, detail } = standingOf(plugin);
      dropCall(watched);
      health.consecutiveFailures = 0;
      this.#setStatus(health, status, detail);
    } else if (health.status === "shed" || health.status === "stopped") {
      this.#setStatus(health, "unknown", "not checked since it was started");
    }
    return watched;
  }

  #watch(plugin: ProbedPlugin): Watched {
    const health: PlatformHealth = {
      plugin: plugin.name,
      platform: plugin.platform,
      status: "unknown",
      detail: "not checked yet",
      lastCheckMs: null,
      durationMs: null,
      consecutiveFailures: 0,
      sinceMs: this.#options.clock.nowMs(),
    };
    const watched: Watched = { health, call: null, waitingSince: null };
    this.#watched.set(plugin.name, watched);
    return watched;
  }

  #setStatus(health: PlatformHealth, to: PlatformHealth["status"], detail: string): void {
    const from = health.status;
    health.detail =
      detail.length <= longestDetailChars ? detail : `${detail.slice(0, longestDetailChars - 1)}…`;
    if (from === to) return;
    health.status = to;
    health.sinceMs = this.#options.clock.nowMs();
    const { platform } = health;
    this.#options.events.publish("health.changed", { platform, from, to, detail: health.detail });
  }

  #tell(health: PlatformHealth, failure: HealthResult["failure"], durationMs: number | null): void {
    const result: HealthResult = {
      plugin: health.plugin,
      platform: health.platform,
      status: health.status,
      failure,
      detail: health.detail,
      durationSeconds: durationMs === null ? null : durationMs / 1_000,
      consecutiveFailures: health.consecutiveFailures,
      atMs: this.#options.clock.nowMs(),
    };
    for (const observer of this.#options.observers) {
      try {
        observer.checked(result);
      } catch (error) {
        this.#options.log.error("health.observer_failed", { platform: health.platform, error });
      }
    }
  }
}

function dropCall(watched: Watched): void {
  watched.call?.abandon();
  watched.call = null;
  watched.waitingSince = null;
}
