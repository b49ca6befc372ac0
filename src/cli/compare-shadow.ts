/** What the shadow policies decided otherwise, and what it would have come to, from the record. */

import { SystemClock } from "../clock.ts";
import { loadKernels } from "../conductor/load-kernels.ts";
import { recordedPolicy } from "../conductor/policy-record.ts";
import { recordReplay } from "../conductor/record-replay.ts";
import {
  type Regret,
  type ReplayPolicy,
  regretByReplay,
  type Span,
  type Totals,
} from "../conductor/regret.ts";
import { formatDuration, formatPercent, parseDurationMs } from "../config/units.ts";
import { policyOf } from "../scaler/policy.ts";
import type { Policy } from "../scaler/situation.ts";
import { openStorageReader, type StorageReader } from "../storage/storage.ts";
import { CliError, exitCode, type Invocation, textFlag, wantsJson } from "./command.ts";
import { configuration } from "./configuration.ts";
import { databasePath } from "./database-place.ts";
import { table } from "./table.ts";

const defaultSince = "7d";
const mostMs = 366 * 86_400_000;

interface Compared {
  name: string;
  watchedSince: string;
  readings: { agreed: number; differed: number };
  byRule: { rule: string; actingRule: string; count: number }[];
  byAction: { kind: string; plugin: string; count: number }[];
  /** Null: not replayed, and `regretBecause` says why. */
  regret: Regret | null;
  regretBecause: string | null;
}

/**
 * Prints agreement, differences by rule and, by replay of the record, the regret of each shadow against the policy that acts.
 * Yields the exit code; throws CliError.
 */
export async function compareShadow(invocation: Invocation, other?: ReplayPolicy): Promise<number> {
  const json = wantsJson(invocation);
  const lengthMs = sinceOf(invocation);
  const { config } = configuration(invocation);
  const { kernels } = await loadKernels();
  const replay = other ?? recordReplay(config, kernels);
  const untilMs = new SystemClock().nowMs();
  const reader = openStorageReader(databasePath(invocation));
  try {
    const acting = actingPolicy(reader, policyOf(config.scaler));
    const shadows: Compared[] = [];
    for (const { name, sinceMs, policy } of reader.shadows.shadows()) {
      const span = { sinceMs: Math.max(sinceMs, untilMs - lengthMs), untilMs };
      const recorded = recordedPolicy(JSON.parse(policy));
      const judged = await judge(reader, { acting, shadow: recorded }, span, replay);
      shadows.push({
        name,
        watchedSince: new Date(sinceMs).toISOString(),
        ...recordOf(reader, name, span),
        ...judged,
      });
    }
    if (shadows.length === 0)
      throw new CliError("no shadow policy was watched yet; name one under shadow: and run conductor serve");
    const since = new Date(untilMs - lengthMs).toISOString();
    invocation.terminal.out(json ? JSON.stringify({ since, shadows }, null, 2) : describe(lengthMs, shadows));
  } finally {
    reader.close();
  }
  return exitCode.ok;
}

function sinceOf(invocation: Invocation): number {
  const text = textFlag(invocation, "since") ?? defaultSince;
  const ms = parseDurationMs(text);
  if (typeof ms === "string") throw new CliError(`--since ${text}: ${ms}`, exitCode.usage);
  if (ms > 0 && ms <= mostMs) return ms;
  throw new CliError(`--since ${text}: expected more than 0s, at most 366d`, exitCode.usage);
}

/** The promoted shadow's, else the configured one. */
function actingPolicy(reader: StorageReader, configured: Policy): Policy {
  const [latest] = reader.promotions.latest(1);
  if (!latest || latest.change === "rolled-back") return configured;
  return recordedPolicy(latest.policy) ?? configured;
}

function recordOf(reader: StorageReader, name: string, { sinceMs }: { sinceMs: number }) {
  const { agreements, differences } = reader.shadows.totals(name, sinceMs);
  return {
    readings: { agreed: agreements, differed: differences },
    byRule: reader.shadows.byRule(name, sinceMs),
    byAction: reader.shadows.byAction(name, sinceMs),
  };
}

async function judge(
  reader: StorageReader,
  { acting, shadow }: { acting: Policy; shadow: Policy | null },
  span: Span,
  replay: ReplayPolicy,
): Promise<Pick<Compared, "regret" | "regretBecause">> {
  const not = (regretBecause: string) => ({ regret: null, regretBecause });
  if (shadow === null) return not("its policy was recorded by another version");
  const regret = await regretByReplay(reader, { acting, shadow }, span, replay);
  return regret ? { regret, regretBecause: null } : not("too little is recorded");
}

function describe(lengthMs: number, shadows: readonly Compared[]): string {
  return [`the last ${formatDuration(lengthMs)}`, ...shadows.map(describeOne)].join("\n\n");
}

function describeOne({
  name,
  watchedSince,
  readings,
  byRule,
  byAction,
  regret,
  regretBecause,
}: Compared): string {
  const { agreed, differed } = readings;
  const share = agreed + differed === 0 ? "no readings yet" : formatPercent(agreed / (agreed + differed));
  const lines = [
    `${name}, watched since ${watchedSince}`,
    `  agreement  ${share} of ${agreed + differed} readings`,
  ];
  const would = byAction.map(({ kind, plugin, count }) => `${kind} ${plugin} ${count}`).join(", ");
  lines.push(`  otherwise  ${would || "nothing"}`);
  if (byRule.length > 0) {
    const rows = byRule.map(({ rule, actingRule, count }) => [`  ${rule}`, actingRule, String(count)]);
    lines.push("", table([["  IT SAID", "ACTING SAID", "TIMES"], ...rows]));
  }
  lines.push("", ...(regret ? regretLines(regret) : [`  regret     not known: ${regretBecause}`]));
  return lines.join("\n");
}

function regretLines({ stretches, acting, shadow, gain }: Regret): string[] {
  const row = (title: string, of: (totals: Totals) => string) => [`  ${title}`, of(acting), of(shadow)];
  const points = (share: number) => `${(share * 100).toFixed(2)}`;
  return [
    table([
      [`  REPLAYED (${stretches} stretches)`, "ACTING", "IT"],
      row("weighted availability", (each) => formatPercent(each.weightedAvailability)),
      row("minutes with OOM kills", (each) => each.oomMinutes.toFixed(0)),
      row("minutes at or over 95 %", (each) => each.criticalMinutes.toFixed(1)),
      row("sheds", (each) => each.sheds.toFixed(0)),
    ]),
    `  gain       ${points(gain.mean)} points of weighted availability, 95 % interval ${points(gain.low)} to ${points(gain.high)}`,
  ];
}
