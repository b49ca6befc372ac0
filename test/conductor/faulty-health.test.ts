/** What health checks make of a real plugin that hangs, or is between a crash and its restart. */

import { afterEach, expect, test } from "bun:test";
import { probeOf } from "../../src/conductor/plugin-ports.ts";
import { EventBus } from "../../src/events/bus.ts";
import { HealthMonitor } from "../../src/health/monitor.ts";
import { silentLog } from "../../src/log.ts";
import { clock, eventually, execPlugin, type Harness, harness, request, rogue } from "../plugins/harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

async function start(modes: string[], more = ""): Promise<Harness> {
  open = await harness({ bot: execPlugin("bot", rogue(...modes), more) });
  await open.manager.startAll();
  return open;
}

test("one that answers no health check is degraded, though the monitor gives up at the same moment as the call", async () => {
  const { manager } = await start(["hang-in-health"]);
  const monitor = new HealthMonitor({
    clock,
    log: silentLog,
    events: new EventBus(clock, silentLog),
    probe: probeOf(manager),
    observers: [],
    intervalMs: 200,
    timeoutMs: 100,
    slowMs: 1_000,
    failures: 3,
    seed: 1,
  });
  monitor.start();
  try {
    await eventually(() => manager.view("bot")?.state === "degraded");
    expect(manager.view("bot")?.reason).toMatch(
      /^health check: no answer to (the health check|health_check) within /,
    );
  } finally {
    monitor.stop();
  }
});

test("one that crashed and waits for its restart has ended: that is no failed check of its successor's", async () => {
  const { manager } = await start([], "recovery: { backoff: { initial: 1m, max: 1m } }\n");
  await manager.dispatch("bot", request("crash"), { timeoutMs: 5_000 });
  await eventually(() => manager.view("bot")?.state === "failed");
  const { signal } = new AbortController();
  expect(await probeOf(manager).check("bot", { timeoutMs: 1_000, signal })).toEqual({
    status: "failure",
    kind: "exited",
    detail: expect.stringContaining("bot is failed: exited with code 7"),
  });
});
