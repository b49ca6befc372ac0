import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { type BreakerMoveRow, mostMoves } from "../../src/storage/breaker-records.ts";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const move = (atMs: number, over: Partial<BreakerMoveRow> = {}): BreakerMoveRow => ({
  atMs,
  from: "closed",
  to: "open",
  reason: `number ${atMs}`,
  movedBy: "requests",
  ...over,
});

test("the last state of each platform outlives the process; what is no JSON comes as null", () => {
  const path = join(scratchFolder(), "conductor.db");
  const first = storageAt(path);
  first.breakers.keep("voice", 1, { a: 1 });
  first.breakers.keep("voice", 2, { a: 2 });
  first.breakers.keep("discord", 3, [3]);
  first.breakers.keep("gone", 3, {});
  first.breakers.forget("gone");
  first.close();
  const raw = new Database(path);
  raw.run("INSERT INTO breakers VALUES ('android', 4, '{not json')");
  raw.close();
  expect(storageAt(path).breakers.kept()).toEqual({ android: null, discord: [3], voice: { a: 2 } });
});

test("the latest moves of a platform come first, and older ones leave", () => {
  const { breakers } = storageAt(join(scratchFolder(), "conductor.db"));
  for (let at = 1; at <= mostMoves + 20; at++) breakers.insertMove("voice", move(at));
  const byHand = move(999, { movedBy: "person", to: "closed", reason: "mended" });
  breakers.insertMove("voice", byHand);
  breakers.insertMove("discord", move(7));
  const moves = breakers.moves("voice");
  expect(moves).toHaveLength(mostMoves);
  expect(moves[0]).toEqual(byHand);
  expect(moves.at(-1)?.atMs).toBe(22);
  expect(breakers.moves("discord")).toEqual([move(7)]);
  expect(breakers.moves("nobody")).toEqual([]);
});

test("at most 1,024 platforms are kept, those that moved last", () => {
  const { breakers } = storageAt(":memory:");
  for (let at = 1; at <= 1_030; at++) {
    breakers.keep(`p${at}`, at, {});
    breakers.insertMove(`p${at}`, move(at));
  }
  const kept = Object.keys(breakers.kept());
  expect(kept).toHaveLength(1_024);
  expect(kept).not.toContain("p6");
  expect([breakers.moves("p6").length, breakers.moves("p7").length]).toEqual([0, 1]);
});
