import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Leases, longestLeaseMs, mostLeases } from "../../src/scaler/leases.ts";

function leases() {
  let ids = 0;
  return new Leases(() => `lease-${++ids}`);
}
const terms = (bytes: number, leaseMs = 1_000) => ({ who: "backup", bytes, leaseMs });
const owed = (held: Leases, nowMs: number) => held.reservedBytes(nowMs);

describe("a lease", () => {
  test("lasts until its time and not longer, or until it is given back", () => {
    const held = leases();
    const first = held.take(terms(100), 0);
    const second = held.take(terms(50, 2_000), 0);
    expect([first?.untilMs, second?.untilMs]).toEqual([1_000, 2_000]);
    expect([owed(held, 999), owed(held, 1_000)]).toEqual([150, 50]);
    expect(held.release(first?.id ?? "", 1_000)).toBe(false);
    expect(held.release(second?.id ?? "", 1_000)).toBe(true);
    expect(held.release(second?.id ?? "", 1_000)).toBe(false);
    expect(owed(held, 1_000)).toBe(0);
  });

  test("is renewed from now on, counts without what was taken of it, and is not revived", () => {
    const held = leases();
    const id = held.take(terms(100), 0)?.id ?? "";
    expect(held.renew(id, 1_000, 900)?.untilMs).toBe(1_900);
    expect(held.renew(id, 1_000, 1_000, 30)?.takenBytes).toBe(30);
    expect(owed(held, 1_000)).toBe(70);
    held.renew(id, 1_000, 1_100);
    expect(owed(held, 1_100)).toBe(70);
    held.renew(id, 1_000, 1_200, 500);
    expect(owed(held, 1_200)).toBe(0);
    expect(held.renew(id, 1_000, 2_200)).toBeNull();
    expect(held.renew("another", 1_000, 0)).toBeNull();
  });

  test("lasts an hour at most", () => {
    const held = leases();
    const id = held.take(terms(1, 10 * longestLeaseMs), 0)?.id ?? "";
    expect(held.list(longestLeaseMs - 1)).toHaveLength(1);
    expect(held.renew(id, Infinity, 5)?.untilMs).toBe(5 + longestLeaseMs);
  });
});

test("there are a thousand at most: one more is refused until one is over", () => {
  const held = leases();
  for (let index = 0; index < mostLeases; index++)
    expect(held.take(terms(1), index === 0 ? 0 : 1)).not.toBeNull();
  expect(held.take(terms(1), 999)).toBeNull();
  expect(held.take(terms(1), 1_000)).not.toBeNull();
  expect(owed(held, 1_000)).toBe(mostLeases);
});

test("whatever is taken, renewed and given back, the sum is that of what is still owed", () => {
  const step = fc.record({
    kind: fc.constantFrom("take", "renew", "release"),
    which: fc.nat(5),
    bytes: fc.nat(2 ** 40),
    leaseMs: fc.integer({ min: 1, max: 5_000 }),
    passMs: fc.nat(2_000),
    takenBytes: fc.option(fc.nat(2 ** 40), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const held = leases();
      const model: { id: string; bytes: number; taken: number; untilMs: number }[] = [];
      let nowMs = 0;
      for (const { kind, which, bytes, leaseMs, passMs, takenBytes } of steps) {
        nowMs += passMs;
        const at = model[which];
        const lives = at !== undefined && nowMs < at.untilMs;
        if (kind === "take") {
          const lease = held.take({ who: "x", bytes, leaseMs }, nowMs);
          model.push({ id: lease?.id ?? "", bytes, taken: 0, untilMs: nowMs + leaseMs });
        } else if (kind === "renew") {
          expect(held.renew(at?.id ?? "", leaseMs, nowMs, takenBytes) !== null).toBe(lives);
          if (lives) Object.assign(at, { untilMs: nowMs + leaseMs, taken: takenBytes ?? at.taken });
        } else {
          expect(held.release(at?.id ?? "", nowMs)).toBe(lives);
          if (lives) at.untilMs = nowMs;
        }
        const expected = model
          .filter(({ untilMs }) => nowMs < untilMs)
          .reduce((sum, each) => sum + Math.max(0, each.bytes - each.taken), 0);
        expect(owed(held, nowMs)).toBe(expected);
      }
    }),
    { seed: 20_261_130, numRuns: 1_000 },
  );
});
