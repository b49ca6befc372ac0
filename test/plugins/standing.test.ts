import { describe, expect, test } from "bun:test";
import { mostReady, type Standing } from "../../src/plugins/standing.ts";
import { bunPlugin, harness } from "./harness.ts";

const standing = (name: string, state: Standing["state"], startsOnRequest = false): Standing => ({
  name,
  platform: "p",
  state,
  reason: "",
  startsOnRequest,
  requestTimeoutMs: 1_000,
  requires: [],
  mostConcurrent: 16,
  mostQueued: 256,
  inFlight: 0,
  priority: 0,
  protect: false,
  expectedBytes: null,
  breakerResetMs: null,
});

test("of several plugins of one platform the most ready takes the request", () => {
  const table: [Standing[], string | undefined][] = [
    [[], undefined],
    [[standing("a", "failed")], "a"],
    [[standing("a", "ready"), standing("b", "ready")], "a"],
    [[standing("a", "failed"), standing("b", "degraded")], "b"],
    [[standing("a", "shed"), standing("b", "starting"), standing("c", "discovered", true)], "c"],
    [[standing("a", "shed"), standing("b", "starting")], "b"],
    [[standing("a", "invalid"), standing("b", "stopped")], "a"],
  ];
  for (const [standings, name] of table) expect(mostReady(standings)?.name).toBe(name as string);
});

describe("the standings", () => {
  test("are live, made once, and agree with the list", async () => {
    const subject = await harness({
      one: bunPlugin(
        "one",
        "export default definePlugin({ handleRequest: () => null });",
        "platform: shared\nstart: lazy\n",
      ),
      two: bunPlugin(
        "two",
        "export default definePlugin({ handleRequest: () => null });",
        "platform: shared\nstart: lazy\n",
      ),
      wrong: { "plugin.yaml": "name: wrong\nruntime: steam\n" },
    });
    try {
      const { manager } = subject;
      const before = manager.standings();
      const agree = () =>
        expect(before.map(({ name, state, reason }) => ({ name, state, reason }))).toEqual(
          manager.list().map(({ name, state, reason }) => ({ name, state, reason })),
        );
      agree();
      await manager.startAll();
      expect(manager.platforms()).toEqual(["shared", "wrong"]);
      expect([manager.serving("shared")?.name, manager.serving("nobody")]).toEqual(["one", null]);
      await manager.disable("one");
      expect([manager.standing("one")?.state, manager.serving("shared")?.name]).toEqual(["disabled", "two"]);
      expect(await manager.start("two")).toEqual({ ok: true });
      expect(manager.serving("shared")).toMatchObject({ name: "two", state: "ready" });
      agree();
      expect(manager.standings()).toBe(before);
      expect([manager.view("wrong")?.state, manager.view("nobody"), manager.standing("nobody")]).toEqual([
        "invalid",
        null,
        null,
      ]);
    } finally {
      await subject.end();
    }
  });
});
