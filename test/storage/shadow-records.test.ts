import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { DifferenceDraft } from "../../src/storage/shadow-records.ts";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");
const hourMs = 3_600_000;

const draft = (over: Partial<DifferenceDraft> = {}): DifferenceDraft => ({
  shadow: "late",
  atMs: 1_000,
  usedRatio: 0.85,
  rule: "hold",
  reason: "nothing to do",
  actions: [],
  actingRule: "threshold",
  actingActions: [{ kind: "shed", plugin: "voice" }],
  ...over,
});

describe("shadow records", () => {
  test("count readings by the hour, and go on after a restart while the policy is the same", () => {
    const path = fresh();
    const first = storageAt(path);
    expect(first.shadows.watch("late", { shed: 1 }, 5)).toBe(5);
    first.shadows.count("late", 10, 3, 1);
    first.shadows.count("late", 20, 4, 0);
    first.shadows.count("late", 3 * hourMs, 5, 5);
    first.close();
    const second = storageAt(path);
    expect(second.shadows.watch("late", { shed: 1 }, 99)).toBe(5);
    expect(second.shadows.totals("late", 0)).toEqual({ agreements: 12, differences: 6 });
    // From within an hour, that hour counts as a whole.
    expect(second.shadows.totals("late", 3 * hourMs + 500)).toEqual({ agreements: 5, differences: 5 });
    expect(second.shadows.totals("other", 0)).toEqual({ agreements: 0, differences: 0 });
  });

  test("begin anew with another policy, and go when the shadow does", () => {
    const storage = storageAt(fresh());
    storage.shadows.watch("late", { shed: 1 }, 5);
    storage.shadows.count("late", 10, 3, 1);
    storage.shadows.insert(draft());
    storage.shadows.insert(draft({ shadow: "other" }));
    expect(storage.shadows.watch("late", { shed: 2 }, 50)).toBe(50);
    expect(storage.shadows.totals("late", 0)).toEqual({ agreements: 0, differences: 0 });
    expect([storage.shadows.latest("late", 9), storage.shadows.latest("other", 9)]).toMatchObject([[], [{}]]);
    storage.shadows.forget("late");
    expect(storage.shadows.shadows()).toEqual([]);
  });

  test("keep each difference with its end, and sum them by rule and by what would have been done", () => {
    const { shadows } = storageAt(fresh());
    const id = shadows.insert(draft());
    shadows.insert(draft({ atMs: 2_000 }));
    const actions = [
      { kind: "shed", plugin: "voice" },
      { kind: "shed", plugin: "android" },
    ];
    shadows.insert(draft({ atMs: 3_000, rule: "emergency", actions }));
    shadows.end(id, 1_500);
    expect(shadows.latest("late", 3).at(-1)).toEqual({
      ...draft(),
      id,
      untilMs: 1_500,
      actions: "[]",
      actingActions: '[{"kind":"shed","plugin":"voice"}]',
    });
    expect(shadows.byRule("late", 0)).toEqual([
      { rule: "hold", actingRule: "threshold", count: 2 },
      { rule: "emergency", actingRule: "threshold", count: 1 },
    ]);
    expect(shadows.byRule("late", 2_500)).toHaveLength(1);
    expect(shadows.byAction("late", 0)).toEqual([
      { kind: "shed", plugin: "android", count: 1 },
      { kind: "shed", plugin: "voice", count: 1 },
    ]);
  });

  test("keep no more than 10,000, and nothing older than 90 days", () => {
    const { shadows } = storageAt(fresh());
    for (let i = 0; i < 10_010; i++) shadows.insert(draft({ atMs: i }));
    expect(shadows.byRule("late", 0)).toMatchObject([{ count: 10_000 }]);
    const laterMs = 91 * 24 * hourMs;
    shadows.count("late", 0, 1, 1);
    shadows.insert(draft({ atMs: laterMs }));
    shadows.count("late", laterMs, 1, 0);
    expect(shadows.byRule("late", 0)).toMatchObject([{ count: 1 }]);
    expect(shadows.totals("late", 0)).toEqual({ agreements: 1, differences: 0 });
  });
});

describe("promotions", () => {
  const promotion = {
    atMs: 7,
    change: "promoted",
    shadow: "late",
    by: "person",
    who: "anna",
    reason: "it is better",
    policy: { shed: 1 },
    probationUntilMs: null,
    oomKills: 3,
  } as const;

  test("are there again after the file was closed, the newest first", () => {
    const path = fresh();
    const first = storageAt(path);
    expect(first.promotions.latest(1)).toEqual([]);
    expect(first.promotions.insert(promotion)).toBeNull();
    expect(first.promotions.insert({ ...promotion, change: "rolled-back", who: null })).toBeNull();
    first.close();
    expect(storageAt(path).promotions.latest()).toEqual([
      { ...promotion, id: 2, change: "rolled-back", who: null },
      { ...promotion, id: 1 },
    ]);
  });

  test("that cannot be written say why", () => {
    const storage = storageAt(fresh());
    storage.close();
    expect(storage.promotions.insert(promotion)).toEqual(expect.any(String));
  });

  test("are 1,000 at most", () => {
    const { promotions } = storageAt(fresh());
    for (let i = 0; i < 1_003; i++) promotions.insert({ ...promotion, atMs: i });
    expect(promotions.latest()).toHaveLength(1_000);
    expect(promotions.latest(1)).toMatchObject([{ atMs: 1_002 }]);
  });
});
