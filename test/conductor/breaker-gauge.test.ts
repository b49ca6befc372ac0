import { expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { showBreakers } from "../../src/conductor/feeds.ts";
import { EventBus } from "../../src/events/bus.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { silentLog } from "../../src/log.ts";
import { Metrics } from "../../src/metrics/metrics.ts";

test("the gauge turns half-open when the breaker does, though no request comes", async () => {
  const clock = new VirtualClock(1_000_000);
  const events = new EventBus(clock, silentLog);
  const states = { plugin: [], forecast: [], calibration: [] };
  const metrics = new Metrics({ version: "1", commit: "c", kernel: "js" }, states);
  showBreakers(events, metrics);
  const breakers = new Breakers({ clock, events, failures: 1, resetMs: 30_000, mostResetMs: 120_000 });
  const shown = async () => {
    const text = await metrics.render();
    return /^circuit_breaker_state\{platform="voice",state="(\w+)"\} 1$/m.exec(text)?.[1];
  };
  const seen: (string | undefined)[] = [];
  breakers.get("voice").recordFailure("crash");
  for (const waitMs of [29_999, 1]) {
    await clock.advance(waitMs);
    seen.push(await shown());
  }
  const probe = breakers.acquire("voice");
  if (probe.permitted) probe.permit.failure("crash");
  for (const waitMs of [59_999, 1]) {
    await clock.advance(waitMs);
    seen.push(await shown());
  }
  const next = breakers.acquire("voice");
  if (next.permitted) next.permit.success();
  seen.push(await shown());
  expect(seen).toEqual(["open", "half_open", "open", "half_open", "closed"]);
  breakers.stop();
});
