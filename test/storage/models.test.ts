import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");
const says = (content: string) => [{ role: "user" as const, content }];

describe("conversations", () => {
  test("are there after a restart, listed by their last use, until they are deleted", () => {
    const path = fresh();
    const before = storageAt(path);
    before.conversations.put("a", says("one"));
    before.conversations.put("b", [...says("two"), { role: "assistant", content: "three" }]);
    expect(before.conversations.get("a")).toEqual(says("one"));
    before.close();
    const { conversations } = storageAt(path);
    expect(conversations.list()).toMatchObject([
      { id: "a", messages: 1, characters: 3 },
      { id: "b", messages: 2, characters: 8 },
    ]);
    expect([conversations.delete("a"), conversations.delete("a")]).toEqual([true, false]);
    expect(conversations.get("a")).toBeNull();
    expect(conversations.get("b")).toHaveLength(2);
  });

  test("leave by number, the one unused for longest first", () => {
    const { conversations } = storageAt(fresh());
    for (let index = 0; index < 256; index++) conversations.put(`c${index}`, says("x"));
    conversations.get("c0");
    conversations.put("new", says("x"));
    expect(conversations.list()).toHaveLength(256);
    expect(conversations.get("c1")).toBeNull();
    expect(conversations.get("c0")).toEqual(says("x"));
  });

  test("leave by their length together; one that is longer than all may be is not kept", () => {
    const { conversations } = storageAt(fresh());
    const third = "x".repeat(3 * 2 ** 20);
    for (const id of ["a", "b", "c"]) conversations.put(id, says(third));
    expect(conversations.list().map(({ id }) => id)).toEqual(["c", "b"]);
    conversations.put("b", says("x".repeat(8 * 2 ** 20 + 1)));
    expect(conversations.list().map(({ id }) => id)).toEqual(["c"]);
  });
});

describe("peaks of models", () => {
  const peaks = [
    { contextTokens: 512, bytes: 100 },
    { contextTokens: 1_024, bytes: 200 },
  ];

  test("are there after a restart", () => {
    const path = fresh();
    const before = storageAt(path);
    expect(before.modelPeaks.keep("large", "file", peaks, 5)).toBe(true);
    before.close();
    expect(storageAt(path).modelPeaks.of("large", "file")).toEqual(peaks);
  });

  test("of another file under the same name tell nothing, and are forgotten", () => {
    const { modelPeaks } = storageAt(fresh());
    modelPeaks.keep("large", "file", peaks, 5);
    expect(modelPeaks.of("large", "other")).toEqual([]);
    modelPeaks.keep("large", "other", peaks.slice(0, 1), 6);
    expect([modelPeaks.of("large", "file"), modelPeaks.of("large", "other")]).toEqual([
      [],
      peaks.slice(0, 1),
    ]);
  });
});

test("orders are there after a restart, each set in place of the one before", () => {
  const path = fresh();
  const before = storageAt(path);
  const { modelOrders } = before;
  expect(
    modelOrders.replace(
      new Map([
        ["large", "unloaded"],
        ["small", "pinned"],
      ]),
    ),
  ).toEqual({ problem: null });
  expect(modelOrders.replace(new Map([["large", "unloaded"]])).problem).toBeNull();
  before.close();
  const { modelOrders: after } = storageAt(path);
  expect([...after.all()]).toEqual([["large", "unloaded"]]);
  expect(after.replace(new Map([["large", "lost" as "pinned"]])).problem).not.toBeNull();
  expect([...after.all()]).toEqual([["large", "unloaded"]]);
});
