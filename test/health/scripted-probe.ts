import type { Clock } from "../../src/clock.ts";
import type { CheckAnswer, Probe, ProbedPlugin } from "../../src/health/probe.ts";

/** How a plugin of the test answers: after `afterMs` with `answer`, or "hang": only when aborted, or "stuck": never. */
export type Behaviour = { afterMs: number; answer: CheckAnswer } | "hang" | "stuck";

export const healthy: Behaviour = { afterMs: 2, answer: { status: "healthy" } };

/** Plugins by script; counts what is under way. */
export class ScriptedProbe implements Probe {
  list: ProbedPlugin[] = [];
  readonly behaviour = new Map<string, Behaviour>();
  /** Monotonic start of each check, by plugin. */
  readonly starts = new Map<string, number[]>();
  readonly mostInFlight = new Map<string, number>();
  readonly inFlight = new Map<string, number>();
  /** Called on each check, before it answers. */
  onCheck: (name: string) => void = () => undefined;
  readonly #clock: Clock;

  constructor(clock: Clock, names: readonly string[]) {
    this.#clock = clock;
    this.list = names.map((name) => ({ name, platform: name, expected: true }));
  }

  plugins(): readonly ProbedPlugin[] {
    return this.list;
  }

  set(name: string, change: Partial<ProbedPlugin>): void {
    this.list = this.list.map((plugin) => (plugin.name === name ? { ...plugin, ...change } : plugin));
  }

  check(name: string, limits: { timeoutMs: number; signal: AbortSignal }): Promise<CheckAnswer> {
    this.starts.set(name, [...(this.starts.get(name) ?? []), this.#clock.monotonicMs()]);
    const now = (this.inFlight.get(name) ?? 0) + 1;
    this.inFlight.set(name, now);
    this.mostInFlight.set(name, Math.max(now, this.mostInFlight.get(name) ?? 0));
    this.onCheck(name);
    const behaviour = this.behaviour.get(name) ?? healthy;
    return new Promise((resolve) => {
      const end = (answer: CheckAnswer) => {
        this.inFlight.set(name, (this.inFlight.get(name) ?? 1) - 1);
        resolve(answer);
      };
      if (behaviour === "stuck") return;
      if (behaviour === "hang")
        limits.signal.addEventListener("abort", () =>
          end({ status: "failure", kind: "timeout", detail: "aborted" }),
        );
      else this.#clock.after(behaviour.afterMs, () => end(behaviour.answer));
    });
  }
}
