/** Startup in steps: a failing one says which it was. */

import type { Log } from "../log.ts";

/** A step of the startup failed; each line of the message names it and says what to do about one problem. */
export class StartupError extends Error {
  readonly code = "startup_failed";

  constructor(
    readonly step: string,
    override readonly cause: unknown,
  ) {
    const problems = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    super(problems.map((problem) => `${step}: ${problem}`).join("\n"));
    this.name = "StartupError";
  }
}

/** Runs the steps in order and undoes the finished ones, the last first, when one fails or at the end. */
export class Startup {
  readonly #undo: { step: string; run: () => void | Promise<void> }[] = [];

  constructor(private readonly log: Log) {}

  /** Runs a step; throws StartupError, with what was started before it stopped again. */
  async step<T>(name: string, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      await this.unwind();
      throw new StartupError(name, cause);
    }
  }

  /** Registers what ends a part that was started. */
  onEnd(step: string, run: () => void | Promise<void>): void {
    this.#undo.push({ step, run });
  }

  /** Ends everything, the last started first. One that fails is logged and does not keep the others. */
  async unwind(): Promise<void> {
    for (let part = this.#undo.pop(); part; part = this.#undo.pop()) {
      try {
        await part.run();
      } catch (error) {
        this.log.error("conductor.end_failed", { part: part.step, error });
      }
    }
  }
}
