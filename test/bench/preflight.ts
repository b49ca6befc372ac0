/**
 * What one preflight decision costs in the scaler, without HTTP and without reading /proc: asked, granted and given back;
 * and refused. With four plugins, and beside no other lease, a hundred and the most there may be. Medians over rounds.
 *
 *   bun test/bench/preflight.ts [-o json]
 */
import { parseArgs } from "node:util";
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { mostLeases } from "../../src/scaler/leases.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import type { PluginFacts } from "../../src/scaler/situation.ts";

/** With as many leases as one host has at a time; it must not be felt beside the request that asks. */
const aimUs = 100;

interface PreflightTiming {
  operation: "granted and given back" | "refused";
  otherLeases: number;
  medianUs: number;
  slowestRoundUs: number;
}

const MiB = 2 ** 20;
const calls = 500;
const rounds = 20;
const names = ["voice", "android", "discord", "stubs"];

function scalerWith(): Scaler {
  const plugins = names.map(
    (name): PluginFacts => ({
      name,
      state: "running",
      footprintBytes: 100 * MiB,
      learnedBytes: 100 * MiB,
      peakBytes: 110 * MiB,
    }),
  );
  const nothing = async () => ({ done: true, killed: false, detail: "" });
  return new Scaler({
    clock: new SystemClock(),
    log: silentLog,
    publisher: { publish: () => undefined },
    policy: {
      order: names,
      shedRatio: 0.8,
      restoreRatio: 0.65,
      emergencyRatio: 0.95,
      marginRatio: 0.05,
      dwellMs: 30_000,
    },
    actuator: {
      plugins: () => plugins,
      hasShed: () => false,
      footprintBytes: () => 100 * MiB,
      shed: nothing,
      restore: nothing,
      strike: () => undefined,
      hasten: () => undefined,
    },
    measureNow: () => ({ usedBytes: 500 * MiB, budgetBytes: 1_000 * MiB }),
    recorder: { open: () => 1, close: () => undefined, observed: () => undefined },
    onIntervention: () => undefined,
    reservationMs: 30_000,
    horizonMs: 300_000,
    newLeaseId: () => crypto.randomUUID(),
  });
}

const request = (bytes: number) => ({
  bytes,
  importance: null,
  leaseMs: 3_600_000,
  who: "bench",
  shed: false,
});

async function measure(
  operation: PreflightTiming["operation"],
  otherLeases: number,
): Promise<PreflightTiming> {
  const { preflight } = scalerWith();
  for (let lease = 0; lease < otherLeases; lease++) await preflight.ask(request(1));
  const bytes = operation === "refused" ? 400 * MiB : MiB;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const begin = Bun.nanoseconds();
    for (let call = 0; call < calls; call++) {
      const answer = await preflight.ask(request(bytes));
      const granted = answer.decision === "proceed" && preflight.release(answer.lease.id);
      if (granted === (operation === "refused")) throw new Error(`${operation}: ${answer.decision}`);
    }
    times.push((Bun.nanoseconds() - begin) / calls / 1_000);
  }
  times.sort((a, b) => a - b);
  return {
    operation,
    otherLeases,
    medianUs: times[Math.floor(rounds / 2)] ?? Number.NaN,
    slowestRoundUs: times.at(-1) ?? Number.NaN,
  };
}

const timings: PreflightTiming[] = [];
for (const otherLeases of [0, 100, mostLeases - 1])
  for (const operation of ["granted and given back", "refused"] as const)
    timings.push(await measure(operation, otherLeases));

const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
if (values.output === "json") console.log(JSON.stringify({ aimUs, timings }));
else
  for (const { operation, otherLeases, medianUs, slowestRoundUs } of timings)
    console.log(
      `${operation.padEnd(23)} beside ${String(otherLeases).padStart(3)} leases ${medianUs.toFixed(1).padStart(8)} µs (slowest round ${slowestRoundUs.toFixed(1)}; aim < ${aimUs})`,
    );
