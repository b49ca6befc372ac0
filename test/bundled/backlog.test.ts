import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Backlog } from "../../plugins/android/backlog.ts";

const bounds = { maxCount: 5, maxBytes: 40, maxAgeMs: 100 };

const step = fc.record({
  text: fc.string({ unit: "grapheme", maxLength: 30 }),
  device: fc.constantFrom(null, "a", "b"),
  waitMs: fc.nat(60),
  drain: fc.option(fc.constantFrom("a", "b", "c")),
});

test("a backlog holds its three bounds, loses nothing unaccounted, and hands over in order", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const backlog = new Backlog(bounds);
      let nowMs = 0;
      let [added, handed] = [0, 0];
      for (const [index, { text, device, waitMs, drain }] of steps.entries()) {
        nowMs += waitMs;
        if (backlog.add({ id: String(index), device, text, atMs: nowMs }, nowMs)) added++;
        if (drain !== null) {
          let last = -1;
          backlog.drain(drain, nowMs, (kept) => {
            expect(kept.device === null || kept.device === drain).toBe(true);
            expect(Number(kept.id)).toBeGreaterThan(last);
            last = Number(kept.id);
            handed++;
            return true;
          });
        }
        const kept = backlog.list(nowMs);
        const usedBytes = kept.reduce((sum, entry) => sum + Buffer.byteLength(entry.text), 0);
        expect(backlog.usedBytes).toBe(usedBytes);
        expect(usedBytes).toBeLessThanOrEqual(bounds.maxBytes);
        expect(kept.length).toBeLessThanOrEqual(bounds.maxCount);
        expect(kept.every((entry) => nowMs - entry.atMs <= bounds.maxAgeMs)).toBe(true);
        expect(kept.length + backlog.dropped + handed).toBe(added);
      }
    }),
    { seed: 20_240_602, numRuns: 300 },
  );
});

test("what cannot be delivered stays, and what is larger than the bound pushes nothing out", () => {
  const backlog = new Backlog(bounds);
  for (const id of ["1", "2"]) backlog.add({ id, device: null, text: "x", atMs: 0 }, 0);
  backlog.drain("a", 0, ({ id }) => id === "1");
  expect(backlog.list(0).map(({ id }) => id)).toEqual(["2"]);
  expect(backlog.add({ id: "3", device: null, text: "x".repeat(41), atMs: 0 }, 0)).toBe(false);
  expect([backlog.count, backlog.usedBytes, backlog.dropped]).toEqual([1, 1, 0]);
});
