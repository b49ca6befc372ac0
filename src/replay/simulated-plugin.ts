/**
 * One plugin of a simulated host.
 *
 *   starting --ready--> running --shed--> stopping --gone--> shed --restore--> starting (a new life, its curve anew)
 *                          |                                       killed by the kernel --3 s--> starting
 *                          +--killed by the kernel--> absent ------^
 */

import type { Curve, Life } from "./curve.ts";

/** What a simulated plugin is. */
export interface PluginModel {
  name: string;
  /** What it holds once it has started. */
  curve: Curve;
  /** From its start until it is ready; its memory comes in this time. */
  startMs: number;
  /** It ends by itself so long after it was told to. */
  stopMs: number;
  /** The kernel takes its memory back within so long after its end. */
  reclaimMs: number;
  requires?: readonly string[];
  protect?: boolean;
}

export type SimulatedState = "starting" | "running" | "stopping" | "shed" | "absent";

export class SimulatedPlugin {
  state: SimulatedState = "absent";
  /** When the present state ends by itself; Infinity: it does not. */
  dueMs = Number.POSITIVE_INFINITY;
  /** Milliseconds in which it was ready. */
  upMs = 0;
  #upSinceMs: number | null = null;
  /** Until then its memory comes evenly; afterwards it is what the curve says. */
  #filledMs = Number.NEGATIVE_INFINITY;
  /** The last question and its answer: a sample asks several times. */
  #askedMs = Number.NaN;
  #answered = 0;
  readonly #life: Life = { bornMs: 0, index: -1 };

  constructor(readonly model: PluginModel) {}

  get name(): string {
    return this.model.name;
  }

  /** When its present or last life began. */
  get bornMs(): number {
    return this.#life.bornMs;
  }

  get holdsMemory(): boolean {
    return this.state !== "shed" && this.state !== "absent";
  }

  to(state: SimulatedState, nowMs: number, dueMs = Number.POSITIVE_INFINITY): void {
    if (state === "starting") {
      this.#life.bornMs = nowMs;
      this.#life.index++;
      this.#filledMs = nowMs + this.model.startMs;
    }
    if (this.#upSinceMs !== null && state !== "running") {
      this.upMs += nowMs - this.#upSinceMs;
      this.#upSinceMs = null;
    }
    if (state === "running") this.#upSinceMs ??= nowMs;
    this.state = state;
    this.dueMs = dueMs;
    this.#askedMs = Number.NaN;
  }

  /** The end of the simulation. */
  close(nowMs: number): void {
    if (this.#upSinceMs !== null) this.upMs += nowMs - this.#upSinceMs;
    this.#upSinceMs = null;
  }

  /** It ran before the simulation began. */
  running(nowMs: number): void {
    this.to("starting", nowMs);
    this.#filledMs = nowMs;
    this.to("running", nowMs);
  }

  /** What it holds at a time, if it goes on as it is. */
  bytesAt(atMs: number): number {
    if (atMs === this.#askedMs) return this.#answered;
    this.#askedMs = atMs;
    this.#answered = this.#bytesAt(atMs);
    return this.#answered;
  }

  #bytesAt(atMs: number): number {
    if (!this.holdsMemory) return 0;
    const { curve, startMs } = this.model;
    if (atMs >= this.#filledMs) return curve.bytesAt(atMs, this.#life);
    const share = Math.max(0, atMs - this.#life.bornMs) / startMs;
    return share * curve.bytesAt(this.#filledMs, this.#life);
  }

  knotAfter(atMs: number): number {
    if (!this.holdsMemory) return Number.POSITIVE_INFINITY;
    return atMs < this.#filledMs ? this.#filledMs : this.model.curve.knotAfter(atMs, this.#life);
  }
}
