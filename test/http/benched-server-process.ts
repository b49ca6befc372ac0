/**
 * The server that test/bench/http.ts measures, in a process of its own: the whole HTTP interface over a real router with real
 * breakers, metrics and statistics, and a dispatcher that answers at once; beside it a bare Bun.serve that parses and
 * answers the same JSON. Prints its two ports, and how long the manager's accessors take with 400 plugins.
 */
import { SystemClock } from "../../src/clock.ts";
import { observeRoutes } from "../../src/conductor/feeds.ts";
import { dispatcherOf, probeOf } from "../../src/conductor/plugin-ports.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { silentLog } from "../../src/log.ts";
import type { Dispatcher } from "../../src/routing/dispatcher.ts";
import { Router } from "../../src/routing/router.ts";
import { RouteStatistics } from "../../src/routing/statistics.ts";
import { discovered, served } from "./served.ts";

const clock = new SystemClock();
const many = await discovered(
  clock,
  Array.from({ length: 400 }, (_, i) => `p${i}`),
);
const dispatcher: Dispatcher = {
  // The real index of 400 plugins, and an answer at once.
  ...dispatcherOf(many, 10_000),
  dispatch: (_, request) => Promise.resolve({ ok: true, result: request.payload }),
};

const whole = await served({ over: { clock, log: silentLog } });
const router = new Router({
  clock,
  log: silentLog,
  dispatcher,
  breakers: new Breakers({ clock, events: { publish: () => undefined }, failures: 3, resetMs: 30_000 }),
  fallbacks: () => ["p1"],
  newRequestId: () => crypto.randomUUID(),
  observers: [new RouteStatistics(), observeRoutes(whole.metrics)],
});
const app = await served({ over: { clock, log: silentLog, router, metrics: whole.metrics } });
const bare = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch: async (request) =>
    Response.json({ result: ((await request.json()) as { payload: unknown }).payload }),
});

/** Microseconds that one call of `run` takes, on average. */
function microseconds(calls: number, run: () => unknown): number {
  for (let i = 0; i < calls / 10; i++) run();
  const begin = Bun.nanoseconds();
  for (let i = 0; i < calls; i++) run();
  return (Bun.nanoseconds() - begin) / 1_000 / calls;
}

const probe = probeOf(many);
console.log(
  JSON.stringify({
    app: app.port,
    bare: bare.port,
    resolveUs: microseconds(20_000, () => dispatcher.resolve("p399")),
    expectedUs: microseconds(500, () => probe.plugins().filter(({ expected }) => expected).length),
    listUs: microseconds(50, () => many.list()),
  }),
);
