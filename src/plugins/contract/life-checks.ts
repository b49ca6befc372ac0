/** How a plugin starts, tells how it is, and ends. */

import { sleep } from "../../clock.ts";
import { formatBytes, formatDuration } from "../../config/units.ts";
import type { HealthReport } from "../../sdk/plugin.ts";
import type { CallResult } from "../transport.ts";
import { fail, failureText, ok, skip, type Verdict } from "./check.ts";
import type { ManagedPlugin } from "./managed-plugin.ts";

const healthTimeoutMs = 5_000;
/** A program that is only supervised may need a moment until its port is open: it is asked again after this. */
const healthRetryMs = 100;

/** Starts it, the way that `conductor serve` does. */
export async function starts(plugin: ManagedPlugin): Promise<Verdict> {
  const { manager, options } = plugin;
  await manager.startAll();
  const started = await plugin.start();
  const { reason } = plugin.view;
  if (!started.ok) return fail(started.message === "" ? reason : started.message);
  const pssBytes = plugin.memoryBytes();
  const { memoryBytes, mechanism } = plugin.view.limits;
  const parts = [
    `ready after ${formatDuration(plugin.startMs ?? 0)} of ${formatDuration(options.startTimeoutMs)}`,
    pssBytes === null ? "memory unknown" : `${formatBytes(pssBytes)} PSS`,
    ...(memoryBytes === null ? [] : [`limit ${formatBytes(memoryBytes)} ${heldBy(mechanism)}`]),
  ];
  return ok(parts.join(", "), { startMs: plugin.startMs, pssBytes });
}

const heldBy = (mechanism: string | null): string =>
  mechanism === null || mechanism === "none" ? "that nothing holds here" : `held by ${mechanism}`;

/** Asks how it is. "unhealthy" is an answer in the right shape: it may well be true here. */
export async function tellsHealth(plugin: ManagedPlugin): Promise<Verdict> {
  const kind = plugin.found.manifest?.health.kind;
  if (kind === "none") return skip("health.kind: none: alive is healthy");
  const { clock, startTimeoutMs, signal } = plugin.options;
  const ask = () => plugin.manager.checkHealth(plugin.name, { timeoutMs: healthTimeoutMs, signal });
  let report = await ask();
  for (
    const endMs = clock.monotonicMs() + startTimeoutMs;
    mayBecomeHealthy(kind, report);
    report = await ask()
  ) {
    if (signal.aborted || clock.monotonicMs() >= endMs) break;
    await sleep(clock, healthRetryMs);
  }
  if (!report.ok) return fail(failureText(report));
  const { status, detail } = report.value;
  const text = detail === undefined ? status : `${status}: ${detail}`;
  return kind === "call" || status === "healthy" ? ok(text) : fail(text);
}

const mayBecomeHealthy = (kind: string | undefined, report: CallResult<HealthReport>): boolean =>
  kind !== "call" && (!report.ok || report.value.status === "unhealthy");

/** On stdout of a plugin that speaks JSON-RPC there is nothing but messages; what else it writes are log lines. */
export function writesOnlyMessages(plugin: ManagedPlugin): Verdict {
  const { garbageMessages, unknownAnswers, garbage } = plugin.view.output;
  const lines = plugin.tail.read(plugin.name, { lines: 1_000 }).logs.length;
  const logged = `${lines} ${lines === 1 ? "line" : "lines"} of log`;
  if (garbageMessages + unknownAnswers === 0) return ok(logged);
  return fail(
    `${garbageMessages} lines or frames that are no message, ${unknownAnswers} answers to nothing, the last: what ${garbage}; write to stderr what belongs to the log`,
  );
}

/** Ends it, the way that `conductor plugins restart` does, and looks for what it leaves behind. */
export async function stops(plugin: ManagedPlugin): Promise<Verdict> {
  const { graceMs } = plugin.options;
  if (plugin.view.pids.length === 0) return fail(`it does not run: ${plugin.view.reason}`);
  const stopped = await plugin.manager.stop(plugin.name, "for the contract");
  if (!stopped.ok) return fail(stopped.message);
  const { gone, killed, leftBehind, durationMs: stopMs, detail } = stopped.report;
  const left = plugin.processes();
  if (!gone || left.length > 0) return fail(`processes are left: ${left.join(", ") || detail}`);
  const within = `within its ${formatDuration(graceMs)}`;
  if (killed) return fail(`did not end after shutdown and TERM ${within}, and was killed`);
  if (leftBehind > 0) return fail(`left ${leftBehind} processes behind, which had to be killed`);
  return ok(`ended after ${formatDuration(stopMs)} of ${formatDuration(graceMs)}, left nothing behind`, {
    stopMs,
  });
}
