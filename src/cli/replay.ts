import { loadKernels } from "../conductor/load-kernels.ts";
import { type Kernels, PolicyRunner } from "../conductor/policy-runner.ts";
import { type LoadedPolicy, loadPolicy, namedPolicy } from "../config/policy-file.ts";
import { criticalRatio } from "../replay/host.ts";
import type { PlotData } from "../replay/plot.ts";
import { PlotRecorder } from "../replay/plot-recorder.ts";
import type { Decided } from "../replay/simulation.ts";
import { added, type Metrics, metricsOf, type Tally } from "../replay/tally.ts";
import type { Hosts, NamedHost } from "../replay/trace-hosts.ts";
import { policyOf } from "../scaler/policy.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { compilerWarning } from "./compilers.ts";
import { PercentLine } from "./percent-line.ts";
import { pictureFormat, writePicture } from "./picture.ts";
import { type DecidedAgain, readDatabase } from "./replay-database.ts";
import { hostsOfTrace, isDatabase, seedFlag, traceOptions, traceSettings } from "./replay-source.ts";
import { describeReplay } from "./replay-text.ts";

/** A decision, on one of the stretches. */
export type ListedDecision = Decided & { stretch: string };

/** What a replay came to; as JSON, this is the output. */
export interface ReplayReport {
  source: string;
  policy: string;
  forecast: string;
  kernel: string;
  seed: number;
  /** Of a database only. */
  again: DecidedAgain | null;
  /** What was assumed, a line each. */
  notes: string[];
  stretches: number;
  gaps: number;
  short: number;
  /** Null: there was nothing to simulate. */
  metrics: Metrics | null;
  rules: Record<string, number>;
  decisions: ListedDecision[];
  decisionsLeftOut: number;
  samples: number;
  durationMs: number;
  plot: string | null;
}

/** Decisions that are listed; of more only their number is told. */
const mostListed = 1_000;

/** `conductor replay`: what a policy would have done with recorded memory. */
export const replayCommand: Command = {
  name: "replay",
  summary: "Run a policy on recorded memory: a trace, or the database of a conductor",
  usage:
    "conductor replay TRACE.csv [--policy FILE] [--seed N] [--share 50%] [--plot FILE] [-o json]\n" +
    "conductor replay CONDUCTOR.db [--policy FILE] [--plot FILE] [-o json]",
  options: {
    policy: {
      type: "string",
      help: "YAML with a scaler section or a whole configuration, or mission or adaptive",
    },
    ...traceOptions,
    plot: { type: "string", help: "Draw the longest stretch into this file, .svg or .png" },
    ...outputOption,
  },
  notes: [
    "A trace has a header and the columns t (seconds, rising) and mem (percent). Its memory is the base, simulated",
    "plugins come on top, and the scaler and the forecast are the real ones, on a clock of their own.",
    "Of a database, first each recorded decision is made again from its recorded inputs under its recorded policy:",
    "exit code 1 when one comes out otherwise by a byte. Then its samples without the recorded footprints are the",
    "base, and the footprints the plugins. Without --policy it is the newest recorded one, of a trace mission.",
    "Where the record has a gap it is cut, and each stretch begins afresh.",
  ],
  positionals: 1,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const [source] = invocation.positionals;
    if (source === undefined)
      throw new CliError(
        "expected a trace (CSV) or a database of conductor; see conductor replay --help",
        exitCode.usage,
      );
    const plotFile = textFlag(invocation, "plot");
    if (plotFile !== undefined) pictureFormat(plotFile);
    const { terminal } = invocation;
    const warning = compilerWarning(invocation.environment);
    if (warning !== null) terminal.err(warning);
    const policyFile = textFlag(invocation, "policy");
    const policy = policyFile === undefined ? null : loadPolicy(policyFile, invocation.folder);
    const progress = new PercentLine(terminal, () => Bun.nanoseconds());
    try {
      const report = await replay(invocation, source, policy, progress);
      progress.end();
      terminal.out(json ? JSON.stringify(report, null, 2) : describeReplay(report));
      return report.again && report.again.differentCount > 0 ? exitCode.failed : exitCode.ok;
    } finally {
      progress.end();
    }
  },
};

async function replay(
  invocation: Invocation,
  source: string,
  policy: LoadedPolicy | null,
  progress: PercentLine,
): Promise<ReplayReport> {
  const read = isDatabase(invocation, source)
    ? ofDatabase(invocation, source, policy, progress)
    : ofTrace(invocation, source, policy, progress);
  const { kernels, name, fellBackBecause } = await loadKernels();
  if (fellBackBecause !== null) invocation.terminal.err(`conductor: ${fellBackBecause}`);
  const runner = read.runner(kernels);
  const ran = runAll(runner, read.hosts, progress);
  const plotFile = textFlag(invocation, "plot");
  if (plotFile !== undefined) {
    if (!ran.plot) throw new CliError(`--plot ${plotFile}: there is nothing to draw`);
    await writePicture(ran.plot, plotFile, invocation.folder);
  }
  const { hosts, gaps, short } = read.hosts;
  const { tallies, rules, decisions, decisionsLeftOut, samples, durationMs } = ran;
  return {
    source,
    policy: read.policyName,
    forecast: read.method,
    kernel: name,
    seed: read.seed,
    again: read.again,
    notes: read.notes,
    stretches: hosts.length,
    gaps,
    short,
    metrics: tallies.length > 0 ? metricsOf(added(tallies)) : null,
    rules,
    decisions,
    decisionsLeftOut,
    samples,
    durationMs,
    plot: plotFile ?? null,
  };
}

interface Read {
  hosts: Hosts;
  runner: (kernels: Kernels) => PolicyRunner;
  policyName: string;
  method: string;
  seed: number;
  notes: string[];
  again: DecidedAgain | null;
}

function ofTrace(
  invocation: Invocation,
  source: string,
  policy: LoadedPolicy | null,
  progress: PercentLine,
): Read {
  const settings = traceSettings(invocation);
  const { name, settings: used } = policy ?? namedPolicy("mission");
  const names = settings.plugins.map((plugin) => plugin.name).join(", ");
  return {
    hosts: hostsOfTrace(invocation, source, settings, progress),
    runner: (kernels) => new PolicyRunner(used, kernels, policyOf(used.scaler)),
    policyName: name,
    method: used.forecast.method,
    seed: settings.seed,
    notes: [
      `100 % of the trace are ${settings.share * 100} % of a budget of ${settings.budgetBytes / 2 ** 30} GiB; on top ${names}, ${settings.pluginsFrom}`,
    ],
    again: null,
  };
}

function ofDatabase(
  invocation: Invocation,
  source: string,
  policy: LoadedPolicy | null,
  progress: PercentLine,
): Read {
  const traceOnly = ["budget", "share", "plugins"].find((name) => textFlag(invocation, name) !== undefined);
  if (traceOnly)
    throw new CliError(`--${traceOnly}: ${source} is a database, which tells that itself`, exitCode.usage);
  const { again, hosts, policy: recorded } = readDatabase(invocation, source, progress);
  const { name, settings } = policy ?? namedPolicy("mission");
  const ownPolicy = policy === null ? recorded : null;
  const filled = Object.entries(hosts.filled).flatMap(([plugin, share]) =>
    share > 0 ? [`${plugin} ${(share * 100).toFixed(1)} %`] : [],
  );
  return {
    hosts,
    runner: (kernels) => new PolicyRunner(settings, kernels, ownPolicy ?? policyOf(settings.scaler)),
    policyName: ownPolicy ? `the newest recorded (${ownPolicy.kind ?? "mission"})` : name,
    method: settings.forecast.method,
    seed: seedFlag(invocation),
    notes: [
      "footprints are as recorded, also after a restart; starting takes 2 s, stopping 0.4 s",
      ...(filled.length > 0 ? [`not measured, so at its median: ${filled.join(", ")} of the time`] : []),
    ],
    again,
  };
}

interface Ran {
  tallies: Tally[];
  rules: Record<string, number>;
  decisions: ListedDecision[];
  decisionsLeftOut: number;
  samples: number;
  durationMs: number;
  /** Of the longest stretch. */
  plot: PlotData | null;
}

function runAll(runner: PolicyRunner, { hosts }: Hosts, progress: PercentLine): Ran {
  const beginNs = Bun.nanoseconds();
  const ran: Ran = {
    tallies: [],
    rules: {},
    decisions: [],
    decisionsLeftOut: 0,
    samples: 0,
    durationMs: 0,
    plot: null,
  };
  const spanOf = ({ model }: NamedHost) => model.endMs - model.beginMs;
  const totalMs = hosts.reduce((sum, host) => sum + spanOf(host), 0);
  const longest = hosts.reduce<NamedHost | null>((a, b) => (a && spanOf(a) >= spanOf(b) ? a : b), null);
  let doneMs = 0;
  for (const host of hosts) {
    const { label, model } = host;
    const recorder = host === longest ? new PlotRecorder() : null;
    const tally = runner.run(model, {
      onDecision: (decided) => {
        ran.rules[decided.rule] = (ran.rules[decided.rule] ?? 0) + 1;
        if (ran.decisions.length < mostListed) ran.decisions.push({ ...decided, stretch: label });
        else ran.decisionsLeftOut++;
      },
      onTick: (simulated) => {
        ran.samples++;
        recorder?.onTick(simulated);
        progress.show(`replaying ${label}`, (doneMs + simulated.nowMs - model.beginMs) / totalMs);
      },
      ...(recorder ? { onState: recorder.onState, onOom: recorder.onOom } : {}),
    });
    ran.tallies.push(tally);
    doneMs += spanOf(host);
    if (recorder) ran.plot = plotOf(host, recorder, runner, metricsOf(tally));
  }
  ran.durationMs = (Bun.nanoseconds() - beginNs) / 1e6;
  return ran;
}

function plotOf(
  { label, model }: NamedHost,
  recorder: PlotRecorder,
  { policy }: PolicyRunner,
  metrics: Metrics,
): PlotData {
  const available = (metrics.weightedAvailability * 100).toFixed(2);
  const title = `${label}, ${policy.kind ?? "mission"}: weighted availability ${available} %, ${metrics.sheds} sheds, ${metrics.oomKills} kills by the kernel, ${metrics.criticalMinutes.toFixed(1)} min at ${criticalRatio * 100} %`;
  const { beginMs, endMs } = model;
  const lines = [
    { name: "emergency", ratio: policy.emergencyRatio },
    { name: "shed", ratio: policy.shedRatio },
    { name: "restore", ratio: policy.restoreRatio },
  ];
  return recorder.data({ title, beginMs, endMs, lines }, metrics.availability);
}
