/** A day on a host of 1,000 MiB: strategies answer the same questions in the same memory; the kernel kills the largest. */

import { VirtualClock } from "../../src/clock.ts";
import type { GenerateRequest } from "../../src/models/engine.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { type DayTrace, daySeconds } from "./day-trace.ts";
import { type Script, ScriptedDriver, script } from "./scripted-driver.ts";

const MiB = 2 ** 20;
export const budgetBytes = 1_000 * MiB;

export interface Rung {
  name: string;
  quality: number;
  script: Script;
}

/** A larger model loads longer and speaks slower: 60 tokens take 6, 3 and 1.5 seconds. */
export const rungs: readonly Rung[] = [
  ["large", 100, 400, 20_000, 100] as const,
  ["medium", 50, 200, 10_000, 50] as const,
  ["small", 25, 100, 5_000, 25] as const,
].map(([name, quality, megabytes, loadMs, tokenMs]) => ({
  name,
  quality,
  script: script({ bytes: megabytes * MiB, loadMs, tokenMs, answerTokens: 60 }),
}));

export const question: GenerateRequest = { input: { prompt: "hello" }, maxTokens: 100 };

/** How a question ended. cut: it ended early, and was told so. failed: it broke off, or no engine answered. */
export interface Answered {
  outcome: "whole" | "cut" | "refused" | "failed";
  model: string | null;
}

export interface Strategy {
  name: string;
  /** Memory was read. */
  tick(): void;
  ask(): Promise<Answered>;
  /** Ends everything. */
  close(): Promise<void>;
}

export interface DayResult {
  strategy: string;
  asked: number;
  whole: number;
  cut: number;
  failed: number;
  refused: number;
  /** Least that the others held when a question was refused; null: none was. */
  refusedFromBytes: number | null;
  /** Qualities of whole answers, 0..100 on average over all questions. */
  quality: number;
  kernelKills: number;
  loads: number;
}

export class DayHost {
  readonly clock = new VirtualClock();
  readonly drivers: ScriptedDriver[] = [];
  othersBytes = 0;
  reservedBytes = 0;

  get usedBytes(): number {
    return this.drivers.reduce((sum, { heldBytes }) => sum + heldBytes, this.othersBytes);
  }

  engine({ name, script: terms }: Rung): ManagedEngine {
    const driver = new ScriptedDriver(name, 4_096, terms, this.clock);
    this.drivers.push(driver);
    return new ManagedEngine(driver, this.clock);
  }

  async run(make: (host: DayHost) => Strategy, trace: DayTrace): Promise<DayResult> {
    const strategy = make(this);
    const answers: Promise<Answered>[] = [];
    let refusedFromBytes: number | null = null;
    const asked = async (othersBytes: number): Promise<Answered> => {
      const answered = await strategy.ask();
      if (answered.outcome === "refused")
        refusedFromBytes = Math.min(refusedFromBytes ?? Infinity, othersBytes);
      return answered;
    };
    let kernelKills = 0;
    /** The kernel killed the burst: it does not come back until the next one. */
    let burstKilled = false;
    for (let second = 0; second < daySeconds; second++) {
      const burst = trace.burstBytes[second] ?? 0;
      if (burst === 0) burstKilled = false;
      this.othersBytes = (trace.usualBytes[second] ?? 0) + (burstKilled ? 0 : burst);
      // The kernel is first: a strategy hears of the second when it is too late for it.
      while (this.usedBytes > budgetBytes) {
        kernelKills++;
        const largest = this.drivers.reduce((one, other) => (other.heldBytes > one.heldBytes ? other : one));
        if (largest.heldBytes >= burst || burstKilled) largest.crash();
        else {
          burstKilled = true;
          this.othersBytes -= burst;
        }
      }
      strategy.tick();
      if (trace.asks[second]) answers.push(asked(this.othersBytes));
      await this.clock.advance(1_000);
    }
    await this.clock.advance(120_000);
    const ended = await Promise.all(answers);
    const loads = this.drivers.reduce((sum, driver) => sum + driver.loads, 0);
    await strategy.close();
    const of = (outcome: Answered["outcome"]) => ended.filter((each) => each.outcome === outcome);
    const quality = of("whole").reduce(
      (sum, { model }) => sum + (rungs.find(({ name }) => name === model)?.quality ?? 0),
      0,
    );
    return {
      strategy: strategy.name,
      asked: ended.length,
      whole: of("whole").length,
      cut: of("cut").length,
      failed: of("failed").length,
      refused: of("refused").length,
      refusedFromBytes,
      quality: quality / ended.length,
      kernelKills,
      loads,
    };
  }
}
