import { expect, test } from "bun:test";
import { breakerResetOf } from "../../src/conductor/plugin-ports.ts";
import { invalidStanding, type Standing } from "../../src/plugins/standing.ts";

const standing = (name: string, platform: string, breakerResetMs: number | null): Standing => ({
  ...invalidStanding(name, []),
  platform,
  state: "ready",
  breakerResetMs,
});

test("the breaker of a platform stays open as long as the plugin that asks for the longest", () => {
  const standings = [
    standing("voice", "voice", 120_000),
    standing("quick", "quick", 500),
    standing("one", "shared", 60_000),
    standing("two", "shared", 90_000),
    standing("short", "mixed", 500),
    standing("silent", "mixed", null),
  ];
  const resetOf = breakerResetOf({ standings: () => standings }, 30_000);
  const platforms = ["voice", "quick", "shared", "mixed", "unknown"];
  expect(platforms.map(resetOf)).toEqual([120_000, 500, 90_000, 30_000, 30_000]);
});
