/** What runs on many hosts today: a watcher that ends the largest process when memory is short, and a supervisor that restarts it. */

import { restartMs, type SimulatedHost } from "../../../src/replay/host.ts";
import { NoProtection, type Orders } from "../../../src/replay/judge.ts";
import type { SimulatedPlugin } from "../../../src/replay/simulated-plugin.ts";

/** SIGTERM with 10 % left and SIGKILL with 5 %: earlyoom's defaults. */
const [termRatio, killRatio] = [0.9, 0.95];
/** earlyoom sleeps for as long as memory could last, within these (its `sleep_time_ms`). */
const [fastestMs, slowestMs] = [100, 1_000];
/** Bytes a second that it expects at most. */
const mostBytesPerSecond = 6 * 2 ** 30;

/** earlyoom, by size or, with `oom_score_adj` set by importance, by the degradation order. */
export class StaticThreshold extends NoProtection {
  override readonly emergencyRatio: number = killRatio;
  #host: SimulatedHost | null = null;

  constructor(private readonly order: readonly string[] | null) {
    super();
  }

  override watch(host: SimulatedHost): void {
    this.#host = host;
  }

  override alertRatio(): number {
    return termRatio;
  }

  override delayMs(usedRatio: number): number {
    const bytes = (termRatio - usedRatio) * (this.#host?.budgetBytes ?? 0);
    return Math.min(slowestMs, Math.max(fastestMs, (1_000 * bytes) / mostBytesPerSecond));
  }

  override onReading(): Orders {
    const host = this.#host;
    const victim = host && host.usedBytes >= termRatio * host.budgetBytes ? this.#victim(host) : null;
    if (!victim) return super.onReading();
    const action = { kind: "shed" as const, plugin: victim.name, urgent: false, expectedBytes: null };
    return { rule: "threshold", reason: "10 % are left", actions: [action], restartAfterMs: restartMs };
  }

  #victim({ plugins, nowMs }: SimulatedHost): SimulatedPlugin | undefined {
    const held = plugins.filter((plugin) => plugin.holdsMemory);
    const { order } = this;
    const rank = (plugin: SimulatedPlugin) => (order ? order.indexOf(plugin.name) : -plugin.bytesAt(nowMs));
    return held.toSorted((a, b) => rank(a) - rank(b))[0];
  }
}
