/** What is known of one plugin: its version, its state with how it came to it, and how it ended before. */

import type { Clock } from "../clock.ts";
import { mayMove, type PluginState } from "./lifecycle.ts";
import type { Manifest } from "./manifest.ts";
import type { Member } from "./member.ts";
import { type PluginVersion, requiredNames } from "./plugin-version.ts";

export interface StateChange {
  plugin: string;
  from: PluginState;
  to: PluginState;
  reason: string;
}

export interface LastExit {
  atMs: number;
  text: string;
  exitCode: number | null;
  signal: string | null;
}

export abstract class PluginRecord {
  /** What runs, or is to. */
  version: PluginVersion;
  state: PluginState = "discovered";
  /** Why it is in this state, for a person. */
  reason = "not started yet";
  sinceMs: number;
  /** Starts again after an end nobody wanted. */
  restarts = 0;
  lastExit: LastExit | null = null;
  lastError: string | null = null;
  /** Why the version in its folder did not take over; null when the one that runs is the latest that was tried. */
  refused: string | null = null;
  /** What it wrote that is no message: the latest of it. */
  garbage: string | null = null;
  readonly #clock: Clock;
  readonly #changed: (change: StateChange) => void;

  constructor(version: PluginVersion, clock: Clock, changed: (change: StateChange) => void) {
    this.version = version;
    this.#clock = clock;
    this.#changed = changed;
    this.sinceMs = clock.nowMs();
  }

  get manifest(): Manifest {
    return this.version.manifest;
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

  /** Those of its processes that take requests. */
  abstract readonly members: readonly Member[];

  get mostConcurrent(): number {
    return this.manifest.limits.concurrency * Math.max(1, this.members.length);
  }

  get mostQueued(): number {
    return this.manifest.limits.queue;
  }

  get inFlight(): number {
    return this.members.reduce((sum, { inFlight }) => sum + inFlight, 0);
  }

  get priority(): number {
    return this.manifest.priority;
  }

  get protect(): boolean {
    return this.manifest.protect;
  }

  get expectedBytes(): number | null {
    return this.manifest.footprint ?? null;
  }

  get breakerResetMs(): number | null {
    return this.manifest.recovery.breaker ?? null;
  }

  get requires(): readonly string[] {
    return requiredNames(this.version);
  }

  noteGarbage(what: string): void {
    this.garbage = what;
  }

  /** The only way to another state. Throws when the picture in lifecycle.ts has no such arrow. */
  protected to(state: PluginState, reason: string): void {
    const from = this.state;
    this.reason = reason;
    if (from === state) return;
    if (!mayMove(from, state)) throw new Error(`plugin ${this.name}: no way from ${from} to ${state}`);
    this.state = state;
    this.sinceMs = this.#clock.nowMs();
    this.#changed({ plugin: this.name, from, to: state, reason });
  }
}
