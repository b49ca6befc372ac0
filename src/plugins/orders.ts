/** What comes of an order to a plugin. */

import type { Supervisor } from "./supervisor.ts";
import type { StopReport } from "./supervisor-ports.ts";

/** Why an order to a plugin was not carried out. `message` says what to do. */
export interface Refusal {
  ok: false;
  code: "unknown-plugin" | "invalid" | "shed" | "disabled" | "start-failed" | "not-replaced" | "nothing-kept";
  message: string;
}

/** `drainMs`: for its requests and its own end, if less than the usual grace. Urgent: killed at once. */
export interface HowToStop {
  urgent?: boolean;
  reason: string;
  drainMs?: number;
}

/** `notes`: what the person who ordered it should know about how it was done. */
export type Started = { ok: true; notes?: readonly string[] } | Refusal;
export type Stopped = { ok: true; report: StopReport; notes?: readonly string[] } | Refusal;

/** Why so many processes of it cannot run; else null. */
export function tooMany({ name, manifest }: Supervisor, instances: number): Refusal | null {
  const { kind } = manifest.health;
  if (instances === 1 || (kind !== "http" && kind !== "tcp")) return null;
  return {
    ok: false,
    code: "invalid",
    message: `${name} has health.kind ${kind}: its port is for one process`,
  };
}

/** Why a plugin that is shed or disabled is not started by an order that does not lift that; else null. */
export function keptDown(
  supervisor: Supervisor,
  lifts: { shed: boolean; disabled: boolean },
): Refusal | null {
  const { name } = supervisor;
  const wanted = supervisor.wanted();
  if (wanted === "disabled" && !lifts.disabled)
    return { ok: false, code: "disabled", message: `${name} is disabled; enable it first` };
  if (wanted === "shed" && !lifts.shed)
    return {
      ok: false,
      code: "shed",
      message: `${name} is shed for memory; it is restored when there is room`,
    };
  return null;
}
