/** A recorded decision made again from what it was made from: it must come out the same, byte for byte. Pure. */

import { decide } from "../scaler/decide.ts";
import type { ForecastFacts, Policy, Situation } from "../scaler/situation.ts";

/** The texts of a recorded decision. */
export interface RecordedDecision {
  id: number;
  atMs: number;
  rule: string;
  reason: string;
  /** JSON of the situation without its time, with the policy as `thresholds`. */
  inputs: string;
  forecast: string;
  plan: string;
  actions: string;
  alternatives: string;
}

export interface Difference {
  field: "rule" | "reason" | "actions" | "alternatives" | "plan";
  recorded: string;
  again: string;
}

/** `same`: no difference. `unusable`: why it cannot be made again. */
export type Again =
  | { outcome: "same" }
  | { outcome: "different"; differences: Difference[] }
  | { outcome: "unusable"; because: string };

type Inputs = Omit<Situation, "nowMs"> & { thresholds?: Policy; truncated?: boolean };

export function decideAgain(recorded: RecordedDecision): Again {
  const read = parsed(recorded);
  if (typeof read === "string") return { outcome: "unusable", because: read };
  const { thresholds, truncated: _, ...inputs } = read.inputs;
  if (!thresholds) return { outcome: "unusable", because: "its policy was not recorded" };
  const verdict = decide({ nowMs: recorded.atMs, ...inputs }, read.forecast, thresholds);
  const again: Record<Difference["field"], string> = {
    rule: verdict.rule,
    reason: verdict.reason,
    actions: JSON.stringify(verdict.actions),
    alternatives: JSON.stringify(verdict.rejected),
    plan: JSON.stringify(verdict.plan ?? null),
  };
  const differences = Object.entries(again).flatMap(([name, text]) => {
    const field = name as Difference["field"];
    return recorded[field] === text ? [] : [{ field, recorded: recorded[field], again: text }];
  });
  return differences.length === 0 ? { outcome: "same" } : { outcome: "different", differences };
}

function parsed({ inputs, forecast }: RecordedDecision) {
  try {
    const read = {
      inputs: JSON.parse(inputs) as Inputs,
      forecast: JSON.parse(forecast) as ForecastFacts | null,
    };
    if (typeof read.inputs !== "object" || read.inputs === null) return "its inputs are no object";
    if (read.inputs.truncated) return "its inputs were too long to be kept";
    if (!read.inputs.measured || !Array.isArray(read.inputs.plugins)) return "its inputs are not complete";
    return read;
  } catch (error) {
    return `its inputs are no JSON (${(error as Error).message})`;
  }
}
