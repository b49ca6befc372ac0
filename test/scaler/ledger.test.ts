import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ReservationLedger } from "../../src/scaler/ledger.ts";

const timeoutMs = 30_000;
const nothing = () => null;

describe("a reservation", () => {
  test("counts with what is not taken of it yet, and never less than nothing", () => {
    const ledger = new ReservationLedger(timeoutMs);
    ledger.reserve("voice", 300, 0);
    const reserved = (taken: number | null) => ledger.reservedBytes(0, () => taken);
    expect([null, 0, 100, 300, 900].map(reserved)).toEqual([300, 300, 200, 0, 0]);
  });

  test("beside memory that the plugin holds already counts what comes on top", () => {
    const ledger = new ReservationLedger(timeoutMs);
    ledger.reserve("voice", 300, 0, 200);
    const reserved = (held: number | null) => ledger.reservedBytes(0, () => held);
    expect([null, 150, 200, 350, 500].map(reserved)).toEqual([300, 300, 300, 150, 0]);
  });

  test("is gone when it is released, and lapses at its timeout and not before", () => {
    const ledger = new ReservationLedger(timeoutMs);
    ledger.reserve("voice", 300, 1_000);
    ledger.reserve("android", 50, 2_000);
    ledger.release("android");
    expect(ledger.has("android")).toBe(false);
    expect(ledger.reservedBytes(30_999, nothing)).toBe(300);
    expect(ledger.reservedBytes(31_000, nothing)).toBe(0);
    expect(ledger.has("voice")).toBe(false);
  });

  test("takes the place of the plugin's last one", () => {
    const ledger = new ReservationLedger(timeoutMs);
    ledger.reserve("voice", 300, 0);
    ledger.reserve("voice", 100, 20_000);
    expect(ledger.reservedBytes(40_000, nothing)).toBe(100);
  });
});

test("at most a thousand are held: the oldest goes", () => {
  const ledger = new ReservationLedger(timeoutMs);
  for (let index = 0; index < 1_500; index++) ledger.reserve(`p${index}`, 1, 0);
  expect(ledger.reservedBytes(0, nothing)).toBe(1_000);
  expect([ledger.has("p499"), ledger.has("p500")]).toEqual([false, true]);
});

test("whatever is reserved, released and measured, the sum is that of what is still owed", () => {
  const bytes = fc.integer({ min: 0, max: 2 ** 40 });
  const name = fc.constantFrom("a", "b", "c", "d");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("reserve"), name, bytes, heldBytes: bytes }),
    fc.record({ kind: fc.constant("release"), name, bytes, heldBytes: bytes }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.dictionary(name, bytes),
      fc.integer({ min: 0, max: 60_000 }),
      (steps, held, nowMs) => {
        const ledger = new ReservationLedger(timeoutMs);
        const owed = new Map<string, number>();
        steps.forEach(({ kind, name: plugin, bytes: asked, heldBytes }, index) => {
          const atMs = index * 1_000;
          if (kind === "release") ledger.release(plugin);
          else ledger.reserve(plugin, asked, atMs, heldBytes);
          const takenBytes = Math.max(0, (held[plugin] ?? heldBytes) - heldBytes);
          const lapsed = nowMs - atMs >= timeoutMs;
          owed.set(plugin, kind === "release" || lapsed ? 0 : Math.max(0, asked - takenBytes));
        });
        const expected = owed.values().reduce((sum, each) => sum + each, 0);
        expect(ledger.reservedBytes(nowMs, (plugin) => held[plugin] ?? null)).toBe(expected);
      },
    ),
    { seed: 20_261_125, numRuns: 1_000 },
  );
});
