/** A record on which a later shed line does better: memory comes to 85 % for an hour of each six. */

import type { Storage } from "../../src/storage/storage.ts";

const hourMs = 3_600_000;
const unknown = {
  ...{ cpuPercent: null, swapUsedBytes: null, swapTotalBytes: null, diskUsedPercent: null },
  ...{ diskFreeBytes: null, load1: null, load5: null, load15: null },
  ...{ psiMemorySomePercent: null, psiMemoryFullPercent: null, psiCpuSomePercent: null },
  ...{ psiIoSomePercent: null, psiIoFullPercent: null },
};

export interface RecordedDay {
  budgetBytes?: number;
  /** The plugin that memory is short for: 5 % of the budget, and 40 % in the hours that are short. */
  grows?: string;
  /** One that holds 1 %. */
  stays?: string;
}

/**
 * A day and two hours of samples up to `nowMs`, one a minute: 50 % of the budget, and in the hours that are short 85 %. An
 * hour before the end a decision knows both plugins.
 */
export function recordDay(
  storage: Storage,
  nowMs: number,
  { budgetBytes = 10 * 2 ** 30, grows = "voice", stays = "stubs" }: RecordedDay = {},
): void {
  const fromMs = nowMs - 26 * hourMs;
  const share = (ratio: number) => Math.round(ratio * budgetBytes);
  for (let atMs = fromMs; atMs <= nowMs; atMs += 60_000) {
    const high = Math.floor((atMs - fromMs) / hourMs) % 6 === 3;
    const memory = { memoryUsedBytes: share(high ? 0.85 : 0.5), memoryBudgetBytes: budgetBytes };
    storage.samples.insert({ ...unknown, atMs, ...memory });
    storage.footprints.insert([
      { atMs, plugin: grows, bytes: share(high ? 0.4 : 0.05), method: "cgroup" },
      { atMs, plugin: stays, bytes: share(0.01), method: "cgroup" },
    ]);
  }
  storage.decisions.append({
    atMs: nowMs - hourMs,
    policy: "mission",
    rule: "hold",
    reason: "nothing to do",
    inputs: { plugins: [{ name: grows }, { name: stays }] },
    forecast: null,
    plan: null,
    actions: [],
    alternatives: [],
    plugins: [],
  });
}
