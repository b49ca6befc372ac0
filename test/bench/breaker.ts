/**
 * What one circuit breaker decision costs: asking for a permit and reporting the result while closed, and being refused
 * while open. On the system clock; medians over rounds, nanoseconds a decision.
 *
 *   bun test/bench/breaker.ts [-o json]
 */
import { parseArgs } from "node:util";
import { SystemClock } from "../../src/clock.ts";
import { Breakers } from "../../src/health/breakers.ts";

/** The mission allows 50 ms; the aim is ours. */
export const aimNs = 2_000;

export interface BreakerTiming {
  operation: "closed: acquire + success" | "open: refused" | "state read";
  medianNs: number;
  slowestRoundNs: number;
}

const calls = 20_000;
const rounds = 30;

function measure(operation: BreakerTiming["operation"], run: () => void): BreakerTiming {
  const times = Array.from({ length: rounds }, () => {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) run();
    return (Bun.nanoseconds() - begin) / calls;
  }).sort((a, b) => a - b);
  return {
    operation,
    medianNs: times[Math.floor(rounds / 2)] ?? Number.NaN,
    slowestRoundNs: times.at(-1) ?? Number.NaN,
  };
}

/** Measures through the registry, as the router asks it. */
export function benchBreaker(): BreakerTiming[] {
  const breakers = new Breakers({
    clock: new SystemClock(),
    events: { publish: () => undefined },
    failures: 3,
    resetMs: 600_000,
  });
  const closed = measure("closed: acquire + success", () => {
    const answer = breakers.acquire("closed");
    if (answer.permitted) answer.permit.success();
  });
  breakers.open("open", "bench");
  const open = measure("open: refused", () => {
    if (breakers.acquire("open").permitted) throw new Error("an open breaker let a call through");
  });
  const read = measure("state read", () => {
    breakers.get("open").getState();
  });
  breakers.stop();
  return [closed, open, read];
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
  const timings = benchBreaker();
  if (values.output === "json") console.log(JSON.stringify({ aimNs, timings }));
  else
    for (const { operation, medianNs, slowestRoundNs } of timings)
      console.log(
        `${operation.padEnd(28)} ${medianNs.toFixed(0).padStart(6)} ns (slowest round ${slowestRoundNs.toFixed(0)}; aim < ${aimNs})`,
      );
}
