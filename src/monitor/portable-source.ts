/** The host where there is no /proc, through systeminformation, which is loaded at the first refresh. */

import { loadavg } from "node:os";
import type { MemoryReading } from "./budget.ts";
import { type DiskReading, readDisk } from "./disk.ts";
import type { HostSource } from "./host-source.ts";

/** What systeminformation is asked for. */
export interface HostQuestions {
  mem(): Promise<{ total: number; available: number; swapused: number; swaptotal: number }>;
  currentLoad(): Promise<{ currentLoad: number }>;
}

const loadQuestions = async (): Promise<HostQuestions> => await import("systeminformation");

type Answer<T> = { value: T } | { error: Error };

/**
 * Reading is immediate, asking is not: `memory` and `cpu` tell what the newest answer was. `refresh` asks for all and is
 * awaited before a sample; each reading of memory asks for memory again, one question at a time, so that a reading is
 * one beat old. Before the first answer, and after one that failed, they throw.
 */
export class PortableSource implements HostSource {
  readonly pressureMissingBecause = "only Linux tells pressure";
  readonly #configuredBytes: number | null;
  readonly #load: () => Promise<HostQuestions>;
  #memory: Answer<MemoryReading> = { error: new Error("the system was not asked yet") };
  #cpu: Answer<number> = { error: new Error("the system was not asked yet") };
  #asking: Promise<void> | null = null;

  constructor(configuredBytes: number | null, load: () => Promise<HostQuestions> = loadQuestions) {
    this.#configuredBytes = configuredBytes;
    this.#load = load;
  }

  /** Asks the system; takes milliseconds to a second. Never rejects: what failed is thrown by the readings. */
  async refresh(): Promise<void> {
    await Promise.all([this.#askMemory(), this.#askCpu()]);
  }

  memory(): MemoryReading {
    const answer = this.#memory;
    void this.#askMemory();
    return answered(answer);
  }

  cpu(): number {
    return answered(this.#cpu);
  }

  disk(path: string): DiskReading | null {
    return readDisk(path);
  }

  load() {
    const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
    return { load1, load5, load15 };
  }

  pressure(): null {
    return null;
  }

  #askMemory(): Promise<void> {
    this.#asking ??= answerOf(async () => this.#readingFrom(await (await this.#load()).mem())).then(
      (answer) => {
        this.#memory = answer;
        this.#asking = null;
      },
    );
    return this.#asking;
  }

  async #askCpu(): Promise<void> {
    this.#cpu = await answerOf(async () => (await (await this.#load()).currentLoad()).currentLoad);
  }

  #readingFrom(memory: Awaited<ReturnType<HostQuestions["mem"]>>): MemoryReading {
    const { total, available } = memory;
    if (!(total > 0) || !(available >= 0)) throw new Error("the system tells no total and available memory");
    const configured = this.#configuredBytes;
    const budgetBytes = configured !== null && configured < total ? configured : total;
    const usedBytes = Math.max(0, total - available);
    return {
      usedBytes,
      budgetBytes,
      usedRatio: usedBytes / budgetBytes,
      source: budgetBytes < total ? "config" : "host",
      cgroup: null,
      swapUsedBytes: memory.swapused,
      swapTotalBytes: memory.swaptotal,
    };
  }
}

async function answerOf<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}

function answered<T>(answer: Answer<T>): T {
  if ("error" in answer) throw answer.error;
  return answer.value;
}
