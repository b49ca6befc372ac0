/** How a plugin answers calls and notices that only some conductors make, or that come only now and then. */

import {
  answerText,
  fail,
  failureText,
  isAnswered,
  type Ledger,
  ok,
  shown,
  skip,
  type Verdict,
} from "./check.ts";
import { type RawPlan, RawProcess } from "./raw-process.ts";

const callChecks: Record<string, (raw: RawProcess) => Promise<Verdict>> = {
  "unknown-method": unknownMethod,
  "unknown-notice": unknownNotice,
  cancelled,
  shutdown,
};

export const rawCheckNames = ["initialize", ...Object.keys(callChecks)];

const methodNotFound = -32_601;
const callTimeoutMs = 5_000;

/** Starts a process for these checks alone, and ends it. False when nothing else can be expected to work. */
export async function checkRaw(ledger: Ledger, plan: RawPlan): Promise<boolean> {
  let started: RawProcess | null = null;
  try {
    const outcome = await ledger.check("initialize", async () => {
      started = await RawProcess.start(plan);
      return initialize(started);
    });
    const raw = started as RawProcess | null;
    if (outcome === "failed" || raw === null) {
      await ledger.skipAll(rawCheckNames.slice(1), "it does not initialize");
      return false;
    }
    for (const [name, run] of Object.entries(callChecks))
      await ledger.check(name, () => (raw.ended === null ? run(raw) : skip(raw.ended)));
    return true;
  } finally {
    await (started as RawProcess | null)?.end();
  }
}

async function initialize(raw: RawProcess): Promise<Verdict> {
  const answer = await raw.initialize();
  const config = `config ${shown(raw.settings)}`;
  if (!answer.ok) {
    if (answer.rpcCode === methodNotFound && raw.plan.manifest.runtime === "exec")
      return ok("has no initialize (-32601), which is allowed");
    const hint = answer.kind === "plugin-error" ? "; give it its settings with --config-json" : "";
    return fail(`with ${config} ${failureText(answer)}${hint}`);
  }
  const { value } = answer;
  const refused = typeof value === "object" && value !== null && !Array.isArray(value) && value.ok === false;
  return refused
    ? fail(`with ${config} it answered ${shown(value)}`)
    : ok(`with ${config} ${answerText(answer)}`);
}

async function unknownMethod(raw: RawProcess): Promise<Verdict> {
  const answer = await raw.call("conductor_contract_unknown", {}, callTimeoutMs);
  if (!answer.ok && answer.rpcCode === methodNotFound) return ok("answered with the error -32601");
  const expected = "expected the error -32601 (method not found)";
  return fail(`${isAnswered(answer) || answer.ok ? answerText(answer) : failureText(answer)}; ${expected}`);
}

/** After the notice it must answer a call that every plugin answers, and must not have answered the notice. */
async function unknownNotice(raw: RawProcess): Promise<Verdict> {
  const before = raw.counters.unknownAnswers + raw.counters.garbageMessages;
  raw.notify("conductor_contract_notice", { id: 1, text: "nobody answers this" });
  const answer = await raw.call("health_check", {}, callTimeoutMs);
  if (!answer.ok && answer.kind !== "plugin-error")
    return fail(`after a notice that it does not know: ${failureText(answer)}`);
  const { unknownAnswers, garbageMessages } = raw.counters;
  if (unknownAnswers + garbageMessages > before)
    return fail(`it answered a notice, which has no id; what came ${raw.garbage}`);
  return ok("ignored, and the next call was answered");
}

/** A request is given up as soon as it was sent; the next one must be answered, whatever became of the first. */
async function cancelled(raw: RawProcess): Promise<Verdict> {
  const abort = new AbortController();
  const first = raw.request("contract-cancelled", abort.signal);
  abort.abort();
  await first;
  const next = await raw.request("contract-next");
  return isAnswered(next)
    ? ok("the request after one that was given up was answered")
    : fail(`after a request that was given up: ${next.ok ? answerText(next) : failureText(next)}`);
}

async function shutdown(raw: RawProcess): Promise<Verdict> {
  const answer = await raw.call("shutdown", {}, raw.plan.options.graceMs);
  if (answer.ok) return ok(answerText(answer));
  if (answer.rpcCode === methodNotFound) return ok("has no shutdown (-32601), which is allowed");
  // A plugin may end instead of answering: that is what it was asked for.
  if (answer.kind === "crashed") return ok(`ended at once: ${answer.message}`);
  return fail(failureText(answer));
}
