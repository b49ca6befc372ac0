/**
 * What decisions depend on beyond the moment: whether memory is being shed, the last change, the pace of growth, how long reclaim
 * takes, who was put off. Deterministic and without IO: the live scaler, a replay and a shadow policy each drive one of these
 * with what they see, in the order in which it happened, and get the same decisions.
 */

import { DayProfile } from "./day-profile.ts";
import { decide } from "./decide.ts";
import { Growth } from "./growth.ts";
import { shedTarget, usualReclaimMs } from "./latest-line.ts";
import { LoadWatch } from "./load-watch.ts";
import { PutOffs } from "./put-offs.ts";
import type {
  ForecastFacts,
  GivingFacts,
  Measured,
  PluginFacts,
  Policy,
  Situation,
  Verdict,
} from "./situation.ts";

/** Kills that are remembered. The next one is expected to take no longer than this share of them: one may have been stuck. */
const reclaimsKept = 8;
const reclaimQuantile = 0.75;
const mostReclaimMs = 10_000;
/** A plugin that starts fills memory as fast as it goes and then stops: for so long its pace says nothing of what comes. */
const startMs = 3_000;
/** How far the time of day is looked ahead. */
const lookAheadMs = 15 * 60_000;

export class Controller {
  #policy: Policy;
  #shedding = false;
  #lastChangeMs: number | null = null;
  #stallPercent: number | null = null;
  #reservedBytes = 0;
  #giving: GivingFacts | null = null;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  readonly #reclaims: number[] = [];
  #expectedReclaimMs = usualReclaimMs;
  readonly #growth = new Growth();
  readonly #putOffs = new PutOffs();
  readonly #load = new LoadWatch();
  readonly #profile = new DayProfile();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** Thresholds and order from now on. */
  set policy(policy: Policy) {
    this.#policy = policy;
  }

  get shedding(): boolean {
    return this.#shedding;
  }

  get lastChangeMs(): number | null {
    return this.#lastChangeMs;
  }

  /** A reading of memory. Those of one clock tick count once. */
  observe(measured: Measured, nowMs: number): void {
    this.#growth.add(nowMs, measured.usedBytes);
    if (!this.#shedding) return;
    const situation = this.situation(nowMs, measured, []);
    if (measured.usedBytes / measured.budgetBytes < shedTarget(situation, this.#policy))
      this.#shedding = false;
  }

  /** Percent (0..100) of 10 s in which everything waited for memory; null: not known. */
  observeStall(fullPercent: number | null): void {
    this.#stallPercent = fullPercent;
  }

  /** All requests so far. */
  observeRequests(total: number, nowMs: number): void {
    this.#load.observe(total, nowMs);
  }

  /** A sample of the whole host, for what is usual at this time of the day. */
  observeSample(usedRatio: number, atMs: number): void {
    this.#profile.learn(atMs, usedRatio);
  }

  /** Bytes that are promised to what is starting, or by lease, and not taken yet. */
  reserved(bytes: number): void {
    this.#reservedBytes = bytes;
  }

  /** What local models are about to give back; null: nothing. */
  gives(giving: GivingFacts | null): void {
    this.#giving = giving;
  }

  /** The situation as it would be judged now. `plugins` as the host has them; who was put off is added here. */
  situation(nowMs: number, measured: Measured, plugins: readonly PluginFacts[]): Situation {
    const starting = nowMs - this.#startedAtMs < startMs || plugins.some(({ state }) => state === "starting");
    const { triggers } = this.#policy;
    // Made for each reading: in one go, and what is not known is left out.
    const situation: Situation = {
      nowMs,
      measured,
      plugins: plugins.length === 0 ? plugins : this.#withPutOffs(plugins, nowMs),
      shedding: this.#shedding,
      lastChangeMs: this.#lastChangeMs,
      growthPerSecond: starting ? 0 : this.#growth.perSecond,
      reclaimMs: this.#expectedReclaimMs,
    };
    if (this.#reservedBytes > 0) situation.reservedBytes = this.#reservedBytes;
    if (this.#giving !== null) situation.giving = this.#giving;
    if (this.#stallPercent !== null) situation.stallPercent = this.#stallPercent;
    const wantsLoad = triggers !== undefined && (triggers.loadPerSecond !== null || triggers.spike);
    const load = wantsLoad ? this.#load.facts : null;
    if (load) situation.load = load;
    const ahead = triggers?.timeOfDay ? this.#profile.ahead(nowMs, lookAheadMs) : null;
    if (ahead) situation.ahead = ahead;
    return situation;
  }

  #withPutOffs(plugins: readonly PluginFacts[], nowMs: number): readonly PluginFacts[] {
    return plugins.map((plugin) =>
      plugin.state === "shed" ? { ...plugin, ...this.#putOffs.facts(plugin.name, nowMs) } : plugin,
    );
  }

  /** What to do now. */
  decide(situation: Situation, forecast: ForecastFacts | null): Verdict {
    return decide(situation, forecast, this.#policy);
  }

  /** A decision to shed is being carried out. */
  shedBegins(): void {
    this.#shedding = true;
  }

  /** A plugin was shed, and memory measured again; `reclaimMs` from the kill on, null where it ended by itself. */
  shedDone(plugin: string, nowMs: number, reclaimMs: number | null): void {
    if (reclaimMs !== null) this.#reclaims.push(Math.min(mostReclaimMs, Math.max(1, reclaimMs)));
    if (this.#reclaims.length > reclaimsKept) this.#reclaims.shift();
    const sorted = this.#reclaims.toSorted((a, b) => a - b);
    this.#expectedReclaimMs = sorted[Math.ceil(reclaimQuantile * sorted.length) - 1] ?? usualReclaimMs;
    this.#putOffs.shed(plugin, nowMs, this.#policy.putOff);
    this.changed(nowMs);
  }

  /** A restore began. */
  restoreBegins(plugin: string, nowMs: number): void {
    this.#putOffs.restored(plugin, nowMs);
    this.started(nowMs);
    this.changed(nowMs);
  }

  /** A plugin starts, whoever ordered it. */
  started(nowMs: number): void {
    this.#startedAtMs = nowMs;
  }

  /** What runs has changed: the pace of before says nothing any more. */
  changed(nowMs: number): void {
    this.#lastChangeMs = nowMs;
    this.#growth.reset();
  }

  /** Somebody set the wall clock by so much: what was remembered moves with it. */
  clockMoved(byMs: number): void {
    if (this.#lastChangeMs !== null) this.#lastChangeMs += byMs;
    this.#growth.reset();
    this.#startedAtMs += byMs;
    this.#putOffs.shift(byMs);
    if (this.#giving) this.#giving = { ...this.#giving, untilMs: this.#giving.untilMs + byMs };
  }
}
