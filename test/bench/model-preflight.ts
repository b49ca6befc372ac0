/**
 * What stands before each answer: a preflight, and a decision of the ladder, with 3 models and with the most there may be.
 * Medians over rounds; facts are made once, as the manager has them.
 *
 *   bun test/bench/model-preflight.ts [-o json]
 */
import { parseArgs } from "node:util";
import { mostModels } from "../../src/config/models-schema.ts";
import { decideModel } from "../../src/models/ladder.ts";
import { type LadderSituation, ladderPolicy, type ModelFacts } from "../../src/models/ladder-facts.ts";
import { preflight } from "../../src/models/preflight.ts";
import { LadderHost } from "../models/ladder-host.ts";
import { situation } from "../models/ladder-situations.ts";

const aimUs = 100;
const calls = 2_000;
const rounds = 20;

interface Timing {
  operation: string;
  models: number;
  medianUs: number;
  slowestRoundUs: number;
}

const timings: Timing[] = [];

function measure(operation: string, models: number, run: () => string, expected: string): void {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const begin = Bun.nanoseconds();
    for (let call = 0; call < calls; call++) {
      const got = run();
      if (got !== expected) throw new Error(`${operation}: ${got}`);
    }
    times.push((Bun.nanoseconds() - begin) / calls / 1_000);
  }
  times.sort((a, b) => a - b);
  timings.push({
    operation,
    models,
    medianUs: times[rounds >> 1] ?? Number.NaN,
    slowestRoundUs: times.at(-1) ?? Number.NaN,
  });
}

/** The three models, and smaller ones of the same kind under them. */
const manyModels = (base: LadderSituation, count: number): ModelFacts[] =>
  Array.from({ length: count }, (_, index) => {
    const of = base.models[Math.min(index, base.models.length - 1)];
    if (!of) throw new Error("no models");
    return { ...of, name: index < base.models.length ? of.name : `small-${index}` };
  });

for (const count of [3, mostModels]) {
  const base = situation(60, ["large"]);
  const models = manyModels(base, count);
  const facts = {
    nowMs: base.nowMs,
    models,
    memory: base.memory,
    changing: null,
    finishing: null,
    without: [],
    held: [],
  };
  const ask = { model: null, contextTokens: 1_000 };
  measure("preflight, goes on", count, () => preflight(ask, facts, ladderPolicy).decision, "proceed");
  const full = { ...facts, models: models.map((each) => ({ ...each, state: "unloaded" as const })) };
  const busy = { ...base.memory, usedBytes: base.memory.budgetBytes };
  const refused = { ...full, memory: busy };
  measure("preflight, refuses", count, () => preflight(ask, refused, ladderPolicy).decision, "refuse");
  const tight = { ...situation(90, ["large"]), models };
  measure("decision, steps down", count, () => decideModel(tight, ladderPolicy).action, "switch");
}

const host = new LadderHost();
await host.run(20_000);
measure(
  "preflight of a live manager, facts made anew",
  3,
  () => host.manager.preflight({ model: null, contextTokens: 1_000 }).decision,
  "proceed",
);
await host.manager.close();

const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
if (values.output === "json") console.log(JSON.stringify({ aimUs, timings }));
else
  for (const { operation, models, medianUs, slowestRoundUs } of timings)
    console.log(
      `${operation.padEnd(46)} ${String(models).padStart(2)} models ${medianUs.toFixed(2).padStart(8)} µs (slowest round ${slowestRoundUs.toFixed(2)}; aim < ${aimUs})`,
    );
