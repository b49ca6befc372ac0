/**
 * Policies that decide beside the one that acts, on the same readings, and do nothing. What happens to the host happens to all
 * of them; only whether memory is being shed is each one's own view.
 */

import { Controller } from "./controller.ts";
import type { ForecastFacts, Measured, PluginFacts, Policy, Verdict } from "./situation.ts";
import { keyOf, Standing } from "./standing.ts";

export interface ShadowPolicy {
  name: string;
  policy: Policy;
}

/** A reading on which the acting policy decided. */
export interface Judged {
  nowMs: number;
  measured: Measured;
  /** As the host has them. */
  plugins: readonly PluginFacts[];
  reservedBytes: number;
  forecast: ForecastFacts | null;
  verdict: Verdict;
  /** The verdict is carried out, and not only observed. */
  acts: boolean;
}

export interface ShadowPorts {
  /** Keeps a verdict of `shadow` that differs from `acting` when it begins to; yields its id. */
  differs(shadow: string, verdict: Verdict, judged: Judged): number;
  /** It differs no more. */
  ended(id: number, untilMs: number): void;
  /** Counts a reading. */
  counted(shadow: string, agrees: boolean): void;
  /** Its code threw: it decides no more until it is made anew. */
  failed(shadow: string, error: unknown): void;
}

export interface ShadowView {
  name: string;
  policy: Policy;
  /** What it said last; null before it did. */
  verdict: Verdict | null;
  /** The difference that stands. */
  standing: { differenceId: number; sinceMs: number } | null;
  failed: boolean;
}

/** What takes what happens to the host: a controller, the acting one's or a shadow's. */
type Tell = (controller: Controller) => void;

class Shadow {
  readonly controller: Controller;
  readonly standing: Standing;
  verdict: Verdict | null = null;
  failed = false;

  constructor(
    readonly name: string,
    policy: Policy,
    private readonly ports: ShadowPorts,
  ) {
    this.controller = new Controller(policy);
    this.standing = new Standing((id, { untilMs }) => ports.ended(id, untilMs));
  }

  judge(judged: Judged): void {
    const { nowMs, measured, plugins, reservedBytes, forecast, acts } = judged;
    const { controller } = this;
    controller.observe(measured, nowMs);
    controller.reserved(reservedBytes);
    const verdict = controller.decide(controller.situation(nowMs, measured, plugins), forecast);
    // Where nothing is carried out no shedding begins, for the acting policy neither.
    if (acts && verdict.actions[0]?.kind === "shed") controller.shedBegins();
    this.verdict = verdict;
    const own = keyOf(verdict);
    const agrees = own === keyOf(judged.verdict);
    this.ports.counted(this.name, agrees);
    this.standing.follow(agrees ? null : `${own} | ${keyOf(judged.verdict)}`, nowMs, () =>
      this.ports.differs(this.name, verdict, judged),
    );
  }
}

export class Shadows {
  #shadows: readonly Shadow[] = [];

  constructor(private readonly ports: ShadowPorts) {}

  /** These from now on. One that had the same policy before goes on; of the others what differed is over. */
  use(policies: readonly ShadowPolicy[]): void {
    const before = this.#shadows;
    this.#shadows = policies.map(({ name, policy }) => {
      const same = before.find((each) => each.name === name && isSame(each.controller.policy, policy));
      return same ?? new Shadow(name, policy, this.ports);
    });
    for (const shadow of before) if (!this.#shadows.includes(shadow)) shadow.standing.close();
  }

  /** Whether there is any that judges readings. */
  get watching(): boolean {
    return this.#shadows.length > 0;
  }

  views(): ShadowView[] {
    return this.#shadows.map(({ name, controller, verdict, standing: { current }, failed }) => ({
      name,
      policy: controller.policy,
      verdict,
      standing: current && { differenceId: current.id, sinceMs: current.sinceMs },
      failed,
    }));
  }

  /** Something happened to the host. */
  tell(tell: Tell): void {
    for (const shadow of this.#shadows) this.#safely(shadow, () => tell(shadow.controller));
  }

  /** Each decides on the same reading; some microseconds each. Never throws. */
  judge(judged: Judged): void {
    for (const shadow of this.#shadows) this.#safely(shadow, () => shadow.judge(judged));
  }

  /** Ends what stands. */
  close(): void {
    for (const shadow of this.#shadows) this.#safely(shadow, () => shadow.standing.close());
  }

  /** A shadow that throws is left out: the policy that acts never feels it. */
  #safely(shadow: Shadow, run: () => void): void {
    if (shadow.failed) return;
    try {
      run();
    } catch (error) {
      shadow.failed = true;
      this.ports.failed(shadow.name, error);
    }
  }
}

const isSame = (a: Policy, b: Policy): boolean => JSON.stringify(a) === JSON.stringify(b);
