/** Starts, second copies and leases together: what is promised is what is owed, and never more than there is. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { Admission, type MemoryNow } from "../../src/scaler/admission.ts";
import { Leases } from "../../src/scaler/leases.ts";
import { owedBytes } from "../../src/scaler/ledger.ts";
import type { PluginFacts, Policy } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;
const names = ["voice", "android", "discord", "stubs"];
const policy: Policy = {
  order: names,
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};

const step = fc.record({
  kind: fc.constantFrom("start", "copy", "lease", "release", "ready", "gone", "grow"),
  name: fc.constantFrom("voice", "android", "discord"),
  mib: fc.integer({ min: 0, max: 400 }),
  passMs: fc.nat(8_000),
});

test("whatever starts, swaps, asks and ends, nothing negative is owed, and what is granted fits under the line with all that is owed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(500), async (steps, baseMiB) => {
      const clock = new VirtualClock(0);
      const held = new Map<string, number>();
      const usual = new Map(names.map((name, index) => [name, 60 * (index + 1) * MiB]));
      let ids = 0;
      const leases = new Leases(() => `${++ids}`);
      const plugins = () =>
        names.map((name): PluginFacts => {
          const footprintBytes = held.get(name) ?? null;
          const learnedBytes = usual.get(name) ?? 0;
          const state = footprintBytes === null ? "absent" : "running";
          return { name, state, footprintBytes, learnedBytes, peakBytes: 1.5 * learnedBytes };
        });
      const footprintBytes = (name: string) => held.get(name) ?? null;
      const actuator = { plugins, footprintBytes };
      const admission = new Admission({ clock, actuator, reservationMs: 30_000, horizonMs: 300_000, leases });
      const usedBytes = () => baseMiB * MiB + held.values().reduce((sum, each) => sum + each, 0);
      const memory = (): MemoryNow => ({
        situation: {
          nowMs: clock.nowMs(),
          measured: { usedBytes: usedBytes(), budgetBytes },
          plugins: plugins(),
          shedding: false,
          lastChangeMs: null,
        },
        forecast: null,
        policy,
      });
      const { situation } = memory();
      if (!situation) throw new Error("it is measured");
      for (const { kind, name, mib, passMs } of steps) {
        await clock.advance(passMs);
        const beforeBytes = admission.reservedBytes();
        let granted = false;
        if (kind === "start" && !held.has(name)) granted = admission.mayStart(name, memory()).ok;
        else if (kind === "copy" && held.has(name)) granted = admission.mayOverlap(name, memory()).ok;
        else if (kind === "lease") {
          const now = memory();
          const request = { bytes: mib * MiB, withinMs: 1_000, importance: null };
          const answer = admission.ask(request, now.situation ?? situation, now);
          expect(admission.reservedBytes()).toBe(beforeBytes);
          granted = answer.decision === "admit";
          if (granted) leases.take({ who: name, bytes: mib * MiB, leaseMs: 100 * mib }, clock.monotonicMs());
        } else if (kind === "release") {
          const [lease] = leases.list(clock.monotonicMs());
          if (lease) leases.release(lease.id, clock.monotonicMs());
        } else if (kind === "grow") held.set(name, mib * MiB);
        else {
          if (kind === "gone") held.delete(name);
          admission.moved(name, kind === "gone" ? "absent" : "running", memory);
        }
        const promised = admission.promised();
        const owed = promised.reduce((sum, each) => sum + owedBytes(each), 0);
        expect(admission.reservedBytes()).toBe(owed);
        expect(owed).toBeGreaterThanOrEqual(0);
        for (const { takenBytes, untilMs } of promised) {
          expect(takenBytes).toBeGreaterThanOrEqual(0);
          expect(untilMs).toBeGreaterThan(clock.monotonicMs());
        }
        if (granted) expect(usedBytes() + owed).toBeLessThan(0.8 * budgetBytes);
      }
    }),
    { seed: 20_261_130, numRuns: 1_000 },
  );
});
