/** Sheds on demand: instead of filling memory, the lines are moved under what is used, by a reload. */

import { readFileSync } from "node:fs";
import type { RunningConductor } from "./running-conductor.ts";

const meminfo = (key: string): number =>
  Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) * 1024;

/** A budget of which this host uses about a third now. */
export function roomyBudget(): string {
  const usedBytes = meminfo("MemTotal") - meminfo("MemAvailable");
  return `${Math.ceil((3 * usedBytes) / 2 ** 20)}MiB`;
}

/** Samples ten times a second, and a forecast that does not stretch the noise between them to five minutes. */
export const quick = "monitor: { interval: 100ms }\nforecast: { horizon: 1s }\n";

/** `scaler:` lines under which nothing is shed. */
export const calm = "scaler: { dwell: 0s }\n";

/** `scaler:` lines under half of what is used, so that everything but the last is shed, one after the other. */
export async function pressing(
  conductor: RunningConductor,
  order: readonly string[] = ["voice", "android", "discord", "stubs"],
): Promise<string> {
  const { measured } = await conductor.get<{ measured: { usedRatio: number } }>("/api/v1/scaling/status");
  const percent = (share: number) => `${(measured.usedRatio * share * 100).toFixed(2)}%`;
  return `scaler: { order: [${order.join(", ")}], shed: "${percent(0.5)}", restore: "${percent(0.25)}", margin: "${percent(0.05)}", dwell: 0s }\n`;
}
