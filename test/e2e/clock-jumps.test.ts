/**
 * Somebody sets the wall clock while conductor runs, as the first answer of a time server does: what was to last so long
 * still does. The executable runs under libfaketime (Debian: faketime), which moves the wall clock alone; left out
 * where that is not installed.
 */

import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { FaultyPlugin, faultyFiles } from "./faulty-plugin.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const library = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/faketime/libfaketimeMT.so.1`;

const config = `
budget: { memory: ${roomyBudget()} }
forecast: { horizon: 1s }
health: { interval: 200ms, timeout: 1s, failures: 5 }
breaker: { failures: 2, reset: 3s }
plugins: { dirs: [plugins], bundled: false, grace: 500ms, startTimeout: 5s }
`;
const limits = "limits: { requestTimeout: 500ms }\n";
const slowly = "recovery: { restart: always, backoff: { initial: 2s, max: 2s } }\n";

async function start() {
  const files = {
    ...faultyFiles("steady", "bun"),
    ...faultyFiles("slow", "bun", [], limits),
    ...faultyFiles("crasher", "bun", [], slowly),
    ...faultyFiles("napper", "bun", [], "start: lazy\nidleStop: 3s\n"),
    clock: "+0\n",
  };
  const conductor = await RunningConductor.start({
    config,
    files,
    // The launcher gives a plugin none of this, so the plugins keep the real time.
    wrap: (command) => [
      "sh",
      "-c",
      'exec env LD_PRELOAD="$0" FAKETIME_TIMESTAMP_FILE="$PWD/clock" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "$@"',
      library,
      ...command,
    ],
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const plugin = (name: string) => new FaultyPlugin(conductor, name);
  const wallMs = async () => {
    const { at } = await conductor.get<{ at: string }>("/api/v1/scaling/status");
    return Date.parse(at);
  };
  return { conductor, plugin, wallMs };
}

test.skipIf(!existsSync(library)).each([
  ["forward", 7_200],
  ["back", -7_200],
])(
  "a wall clock that is set two hours %s ends no wait early and makes none longer",
  async (_, seconds) => {
    const { conductor, plugin, wallMs } = await start();
    const [slow, crasher, napper] = [plugin("slow"), plugin("crasher"), plugin("napper")];
    await napper.answers();
    const nappingSinceMs = performance.now();
    for (let n = 0; n < 2; n++) expect((await slow.ask("late", 5_000)).code).toBe("plugin_timeout");
    const openedMs = performance.now();
    const waiting = slow.ask("message");
    await crasher.ask("exit", 7);
    const crashedMs = performance.now();
    await crasher.reaches("failed", /restart in (1\.\d+|2(\.\d+)?) s/);

    writeFileSync(join(conductor.folder, "clock"), `${seconds > 0 ? "+" : ""}${seconds}\n`);
    await until(
      "its wall clock has moved",
      5_000,
      async () => Math.abs((await wallMs()) - Date.now() - seconds * 1_000) < 60_000,
    );
    expect((await waiting).code).toBe("breaker_open");
    const healthz = await fetch(conductor.url("/healthz"));
    expect([healthz.status, (await conductor.plugin("steady")).state]).toEqual([200, "ready"]);

    // The breaker: 3 s, and not at once.
    expect((await slow.ask("message")).code).toBe("breaker_open");
    await until(
      "the crashed one was restarted",
      10_000,
      async () => (await crasher.view()).state === "ready",
    );
    const restartedAfterMs = performance.now() - crashedMs;
    await until(
      "the breaker lets one through",
      10_000,
      async () => (await slow.ask("message")).status === 200,
    );
    const closedAfterMs = performance.now() - openedMs;
    await napper.reaches("stopped", /no request came for 3 s/, 10_000);
    const nappedAfterMs = performance.now() - nappingSinceMs;
    // A request's own time, while the clock stands elsewhere.
    const late = await slow.ask("late", 5_000);
    expect(late.code).toBe("plugin_timeout");
    console.log(
      `set by ${seconds} s: restart after ${Math.round(restartedAfterMs)} ms, breaker after ${Math.round(closedAfterMs)} ms, idle stop after ${Math.round(nappedAfterMs)} ms, timeout after ${Math.round(late.tookMs)} ms`,
    );
    for (const [ms, leastMs] of [
      [restartedAfterMs, 1_550],
      [closedAfterMs, 2_900],
      [nappedAfterMs, 2_900],
      [late.tookMs, 450],
    ] as const) {
      expect(ms).toBeGreaterThanOrEqual(leastMs);
      expect(ms).toBeLessThan(leastMs + 5_000);
    }
    expect(await conductor.terminate()).toBe(0);
  },
  40_000,
);
