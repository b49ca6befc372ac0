/** Does harm to one plugin after another, as a seeded generator says, and lets each recover. */

import type { SeededRandom } from "../forecast/seeded-random.ts";
import { type Mode, type Victim, victims } from "./chaos-plugins.ts";
import type { RunningConductor } from "./running-conductor.ts";

const attacks = ["kill", "stop", "slow", "err", "disable", "restart", "reload"] as const;
type Attack = (typeof attacks)[number];

export class ChaosAgent {
  /** Carried out, how often. */
  readonly done = new Map<Attack, number>();
  /** Orders that the conductor answered with something else than 200. */
  readonly refusedOrders: string[] = [];
  readonly #conductor: RunningConductor;
  readonly #random: SeededRandom;
  #running: Promise<void> | null = null;
  #over = false;

  constructor(conductor: RunningConductor, random: SeededRandom) {
    this.#conductor = conductor;
    this.#random = random;
  }

  /** Carried out, all together. */
  get attacks(): number {
    return [...this.done.values()].reduce((sum, count) => sum + count, 0);
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends the attack under way, with its damage undone. Rejects with what went wrong in one. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#running;
  }

  /** Each victim in turn gets each attack, in a shuffled order, again and again. */
  async #run(): Promise<void> {
    let left: Attack[] = [];
    for (let turn = 0; !this.#over; turn++) {
      if (left.length === 0) left = attacks.flatMap((attack) => [attack, attack, attack]);
      const [attack] = left.splice(this.#random.below(left.length), 1);
      const victim = victims[turn % victims.length];
      const holdMs = 200 + this.#random.below(1_300);
      const which = this.#random.below(1_000);
      const pauseMs = this.#random.below(500);
      if (!attack || !victim) continue;
      if (await this.#attack(attack, victim, holdMs, which))
        this.done.set(attack, (this.done.get(attack) ?? 0) + 1);
      await Bun.sleep(pauseMs);
    }
  }

  /** False: there was nothing to attack. */
  async #attack(attack: Attack, victim: Victim, holdMs: number, which: number): Promise<boolean> {
    switch (attack) {
      case "kill":
      case "stop":
        return this.#signal(attack, victim, holdMs, which);
      case "slow":
        return this.#mode(victim, { mode: "slow", forMs: holdMs, slowMs: 100 + which });
      case "err":
        return this.#mode(victim, { mode: "errs", forMs: holdMs, slowMs: 0 });
      case "disable": {
        const disabled = await this.#order(victim, "disable");
        await Bun.sleep(holdMs);
        await this.#order(victim, "enable");
        return disabled;
      }
      default:
        return this.#order(victim, attack);
    }
  }

  async #signal(attack: "kill" | "stop", victim: Victim, holdMs: number, which: number): Promise<boolean> {
    const { pids } = await this.#conductor.plugin(victim);
    const pid = pids[which % pids.length];
    if (pid === undefined) return false;
    if (!sent(pid, attack === "kill" ? "SIGKILL" : "SIGSTOP")) return false;
    if (attack === "kill") return true;
    await Bun.sleep(holdMs);
    sent(pid, "SIGCONT");
    return true;
  }

  async #mode(victim: Victim, payload: Mode): Promise<boolean> {
    const body = { platform: victim, type: "mode", payload, onFailure: "refuse" };
    const response = await this.#conductor.post("/api/v1/requests", body);
    const { degraded } = (await response.json()) as { degraded?: boolean };
    if (response.status !== 200 || degraded !== false) return false;
    await Bun.sleep(payload.forMs);
    return true;
  }

  async #order(victim: Victim, order: string): Promise<boolean> {
    const headers = { Authorization: `Bearer ${this.#conductor.token}` };
    const response = await this.#conductor.post(`/api/v1/plugins/${victim}/${order}`, {}, headers);
    const text = await response.text();
    if (response.status !== 200) this.refusedOrders.push(`${order} ${victim}: ${response.status} ${text}`);
    return response.status === 200;
  }
}

/** False: the process has gone. */
function sent(pid: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // It ended by itself or by order since it was listed.
  }
}
