/**
 * Replays the record in a process of its own, so that this one goes on: one at a time, at the lowest priority, and never in
 * the way of shedding. It is not begun while memory is over the restore line, and killed at once when that comes to the
 * shed line or anything is shed.
 */

import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { formatPercent } from "../config/units.ts";
import { type BackgroundRole, startInBackground } from "../plugins/background-role.ts";
import type { Policy } from "../scaler/situation.ts";
import type { PolicyPair, Regret, Span } from "./regret.ts";
import { type ReplayAnswer, type ReplayRequest, replayAnswer } from "./replay-request.ts";

/** What came of it. put-off: memory is too short for it now. `cost`: null where nothing was measured. */
export type Replayed =
  | { outcome: "done"; regret: Regret | null; cost: Omit<ReplayAnswer, "regret"> | null }
  | { outcome: "put-off" | "failed"; because: string };

/** Replays the record of `span` under both policies. Never rejects. */
export type ReplayBoth = (policies: PolicyPair, span: Span) => Promise<Replayed>;

export interface BackgroundReplayOptions {
  clock: Clock;
  /** How this program starts itself. */
  selfCommand: readonly string[];
  /** The file that it reads, beside this process. */
  database: string;
  settings: Pick<Config, "forecast" | "monitor" | "plugins">;
  /** The one that acts: its lines say how much memory there is. */
  policy: () => Policy;
}

/** A replay of a week was measured to hold 57 MiB of its own; it holds a quarter of a day at once, however long the record. */
const mostBytes = 192 * 2 ** 20;
/** A week at a sample in 30 s was measured at 22 s, a day at one a second at 26 s, beside other work. */
const deadlineMs = 1_800_000;
/** Memory that was read longer ago than this says nothing of now. */
const newestMs = 60_000;

export class BackgroundReplay {
  readonly #options: BackgroundReplayOptions;
  #role: BackgroundRole | null = null;
  #closed = false;
  /** Of the role that runs: it was killed for memory. */
  #gaveWay: string | null = null;
  #reading = { usedRatio: Number.NaN, atMs: Number.NEGATIVE_INFINITY };

  constructor(options: BackgroundReplayOptions) {
    this.#options = options;
  }

  /** The process that replays; null: none does. */
  get pid(): number | null {
    return this.#role?.pid ?? null;
  }

  /** Memory was read. Costs nothing while nothing is replayed. */
  onReading(usedRatio: number): void {
    this.#reading = { usedRatio, atMs: this.#options.clock.monotonicMs() };
    const { shedRatio } = this.#options.policy();
    if (this.#role !== null && usedRatio >= shedRatio)
      this.giveWay(
        `memory came to ${formatPercent(usedRatio)}, the shed line is ${formatPercent(shedRatio)}`,
      );
  }

  /** Ends what is replayed, if anything: the memory is needed. */
  giveWay(because: string): void {
    if (this.#role === null) return;
    this.#gaveWay ??= because;
    this.#role.end(because);
  }

  readonly run: ReplayBoth = async ({ acting, shadow }, span) => {
    const not = this.#notNow();
    if (not !== null) return { outcome: "put-off", because: not };
    const { clock, selfCommand, database, settings } = this.#options;
    const { forecast, monitor, plugins } = settings;
    const { method, horizon, points, minPoints, emaAlpha } = forecast;
    const { interval, window, reflex } = monitor;
    const { startTimeout } = plugins;
    const request = {
      database,
      kernel: forecast.kernel === "js" ? "js" : "auto",
      span,
      acting,
      shadow,
      settings: {
        forecast: { method, horizon, points, minPoints, emaAlpha },
        monitor: { interval, window, reflex },
        plugins: { startTimeout },
      },
    };
    this.#gaveWay = null;
    try {
      this.#role = startInBackground({
        selfCommand,
        args: ["__replay-record"],
        input: JSON.stringify(request satisfies Omit<ReplayRequest, "acting" | "shadow" | "kernel">),
        mostBytes,
        deadlineMs,
        clock,
      });
    } catch (error) {
      return {
        outcome: "failed",
        because: `it cannot be started: ${error instanceof Error ? error.message : error}`,
      };
    }
    const ended = await this.#role.ended;
    this.#role = null;
    if (this.#gaveWay !== null) return { outcome: "put-off", because: this.#gaveWay };
    return ended.ok ? read(ended.output) : { outcome: "failed", because: ended.because };
  };

  /** Ends what is replayed, and begins nothing any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.giveWay("conductor ends");
    await this.#role?.ended;
  }

  #notNow(): string | null {
    if (this.#closed) return "conductor ends";
    if (this.#role !== null) return "another one is under way";
    const { usedRatio, atMs } = this.#reading;
    if (this.#options.clock.monotonicMs() - atMs > newestMs) return "memory is not known now";
    const { restoreRatio } = this.#options.policy();
    if (usedRatio <= restoreRatio) return null;
    return `memory is at ${formatPercent(usedRatio)}, over the restore line of ${formatPercent(restoreRatio)}`;
  }
}

function read(output: string): Replayed {
  try {
    const { regret, ...cost } = replayAnswer.parse(JSON.parse(output));
    return { outcome: "done", regret, cost };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { outcome: "failed", because: `its answer is none: ${problem.slice(0, 500)}` };
  }
}
