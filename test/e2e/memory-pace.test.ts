/**
 * Memory that is really taken, at three paces, in a memory cgroup of the test: a step, a leak, a sawtooth; for both policies,
 * side by side. Printed is how fast each was met. PRESSURE_ROUNDS (default 1) repeats each, with everything restored in
 * between; PRESSURE_LEAK_S (default 4) makes the leak as slow as one likes.
 */

import { describe, expect, test } from "bun:test";
import type { HogStep } from "../../src/cli/drill/hog.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { canMakeCgroups } from "./memory-cgroup.ts";
import { MiB, PressedConductor } from "./pressed-conductor.ts";

const defer = cleanUpAfterEach();
const rounds = Number(process.env.PRESSURE_ROUNDS ?? 1);
const leakSeconds = Number(process.env.PRESSURE_LEAK_S ?? 4);
const budgetBytes = 128 * MiB;
/** What conductor and the other plugins hold, roughly: the hog's steps are told in shares of the budget. */
const restBytes = 34 * MiB;
const at = (ratio: number): number => Math.max(2 * MiB, Math.round(ratio * budgetBytes - restBytes));

const lines = { mission: 0.8, adaptive: 0.92 } as const;
const policies = ["mission", "adaptive"] as const;

const paces: Record<string, { base: number; steps: HogStep[] }> = {
  "a step of 40 % of the budget in 300 ms": { base: at(0.62), steps: [{ bytes: at(1.02), afterMs: 300 }] },
  "a leak": { base: at(0.5), steps: [{ bytes: at(1.1), afterMs: 1_000 * leakSeconds }] },
  "a sawtooth that grows over the line": {
    base: at(0.4),
    steps: [
      { bytes: at(0.72), afterMs: 300 },
      { bytes: at(0.4), afterMs: 200 },
      { bytes: at(0.74), afterMs: 300 },
      { bytes: at(0.4), afterMs: 200 },
      { bytes: at(1.1), afterMs: 600 },
    ],
  },
};

const ms = (value: number | null | undefined): string =>
  value === undefined || value === null ? "-" : `${value.toFixed(0)} ms`;
const mib = (bytes: number): string => `${(bytes / MiB).toFixed(0)} MiB`;

async function meet(policy: (typeof policies)[number], name: string): Promise<void> {
  const pace = paces[name];
  if (!pace) throw new Error(`no pace ${name}`);
  const pressed = await PressedConductor.start({
    name: `pace-${policy}`,
    budgetBytes,
    scaler: `policy: ${policy}, dwell: 1s, putOff: { initial: 0s, max: 0s }`,
    hog: pace.steps,
    hogBaseBytes: pace.base,
  });
  defer(() => pressed.end());
  const [lastPid] = (await pressed.conductor.plugin("last")).pids;
  for (let round = 0; round < rounds; round++) {
    if (round > 0) await pressed.settled();
    const { crossedMs, signalSeenMs, peakBytes } = await pressed.press(lines[policy]);
    // Recorded a moment after the last process was gone.
    const sheds = (await pressed.recordedSheds()).slice(-2);
    const [first] = sheds;
    const freedBytes = peakBytes - pressed.usedBytes();
    console.log(
      `${policy}, ${name}: crossing to first gone ${ms(crossedMs === null ? null : signalSeenMs - crossedMs)}; told: crossing to reading ${ms(first?.noticedMs)}, reading to signal ${ms(first?.signalMs)}; back ${mib(freedBytes)}, most in use ${((100 * peakBytes) / budgetBytes).toFixed(1)} %`,
    );
    expect(sheds.map(({ plugin }) => plugin)).not.toContain("last");
    expect(freedBytes).toBeGreaterThan(10 * MiB);
    expect(first?.signalMs).toBeGreaterThanOrEqual(0);
    expect(peakBytes).toBeLessThan(2 * budgetBytes);
  }
  expect(pressed.cgroup.ownKills()).toBe(0);
  expect((await pressed.conductor.plugin("last")).pids).toEqual([lastPid ?? 0]);
}

describe.skipIf(!canMakeCgroups())("with conductor the kernel kills nothing", () => {
  test.each(Object.keys(paces))(
    "%s",
    async (name) => {
      await Promise.all(policies.map((policy) => meet(policy, name)));
    },
    60_000 * rounds + 2_000 * leakSeconds,
  );
});
