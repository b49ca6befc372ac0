/** What the scaler needs from the rest of the house. */

import type {
  Action,
  ForecastFacts,
  Measured,
  Plan,
  PluginFacts,
  Policy,
  Rejected,
  Rule,
  Situation,
} from "./situation.ts";

/** How a shed or a restore went. */
export interface Carried {
  /** Shed: all its processes are gone. Restore: it is ready. */
  done: boolean;
  /** It had to be killed after the grace. */
  killed: boolean;
  /** One line for a person. */
  detail: string;
}

export interface ShedOptions {
  urgent: boolean;
  reason: string;
  /** Most time for requests under way and the plugin's own end; absent: the usual grace. */
  drainMs?: number;
}

/** Stops and starts plugins. */
export interface Actuator {
  /** Every plugin, with the footprints as last measured. */
  plugins(): readonly PluginFacts[];
  /** Whether one of them is shed; asked for with each reading. */
  hasShed(): boolean;
  /** The footprint measured now; null when it cannot be read. */
  footprintBytes(plugin: string): number | null;
  /**
   * Sends SIGKILL to all that runs of a plugin, and does nothing else: no line, no row, no reading comes before it. An urgent
   * `shed` follows in the same turn.
   */
  strike(plugin: string): void;
  /** Stops a plugin for memory and waits until its processes are gone. An urgent one is signalled before this returns. */
  shed(plugin: string, options: ShedOptions): Promise<Carried>;
  /** Kills at once what `shed` is still stopping gently. */
  hasten(plugin: string): void;
  /** Starts a shed plugin and waits until it is ready. */
  restore(plugin: string, reason: string): Promise<Carried>;
}

/** Measures memory now; null when it cannot be read. */
export type MeasureNow = () => Measured | null;

/** An action and what came of it. */
export interface Outcome extends Action {
  startedAtMs: number;
  /**
   * Of a shed for a measured line: from the crossing of the line, as far as two readings tell it, to the reading that saw
   * it. Absent: not known, or not the first of its decision.
   */
  noticedMs?: number;
  /** Of a shed: from that reading to the order to stop, which is the SIGKILL when it is urgent. */
  signalMs?: number;
  durationMs: number;
  beforeBytes: number | null;
  afterBytes: number | null;
  /**
   * Bytes freed (shed) or taken (restore) as measured; null when memory could not be read. Of several that were killed
   * together: what came back since the one before was gone.
   */
  actualBytes: number | null;
  carried: Carried;
}

/** One decision as it is recorded: everything it was made from, so that it can be made again, and what came of it. */
export interface DecisionRecord {
  situation: Situation;
  forecast: ForecastFacts | null;
  policy: Policy;
  rule: Rule;
  reason: string;
  actions: readonly Action[];
  rejected: readonly Rejected[];
  plan: Plan | undefined;
  outcomes: readonly Outcome[];
  /** It is not carried out: conductor only observes. Absent: it is. */
  observed?: boolean;
}

/** The audit. */
export interface Recorder {
  /** Keeps a decision, as it begins to be carried out; yields its id. */
  open(record: DecisionRecord): number;
  /** Keeps what came of it. */
  close(id: number, outcomes: readonly Outcome[]): void;
  /** Keeps how the wish of an observed decision ended. */
  observed(id: number, end: { untilMs: number; note: string }): void;
}
