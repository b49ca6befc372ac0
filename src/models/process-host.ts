/** The port through which an engine starts a program: with supervision, limits and isolation that are not its business. */

export interface ProcessOrder {
  /** For logs and limits, such as the tier's name. */
  name: string;
  /** Program and arguments. */
  command: readonly string[];
  /** Variables beside those that every supervised program is given. */
  environment: Readonly<Record<string, string>>;
}

/** How a process ended, in one line for a person. */
export interface ProcessEnd {
  /** "exited with 1", "was killed by SIGKILL", "was killed for want of memory", … */
  cause: string;
  /** The kernel ended it for want of memory, or whoever holds it to its limit did. */
  outOfMemory: boolean;
  /** The last line it wrote to stderr; null when it wrote none. */
  lastLine: string | null;
}

export interface HostedProcess {
  /** Settles when its main process has ended, by itself or not. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Bytes of its whole tree, measured now; null when it cannot be told. */
  footprintBytes(): number | null;
  /**
   * Ends it with all that it started: SIGTERM, `graceMs`, SIGKILL. Resolves when none is left (`gone`), or that could not be
   * reached. Harmless when it has ended by itself. Never rejects.
   */
  stop(graceMs: number): Promise<{ gone: boolean }>;
}

export type ProcessStarted =
  | { ok: true; process: HostedProcess }
  /** `missing`: there is no such program. */
  | { ok: false; missing: boolean; message: string };

export interface ProcessHost {
  /** Never rejects. */
  start(order: ProcessOrder): Promise<ProcessStarted>;
}
