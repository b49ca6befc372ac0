import { loadKernels } from "../conductor/load-kernels.ts";
import { PolicyRunner } from "../conductor/policy-runner.ts";
import { type LoadedPolicy, loadPolicy } from "../config/policy-file.ts";
import { type Comparison, compared, type Trial } from "../replay/comparison.ts";
import { generatedHost, type PatternName, patternNames } from "../replay/scenarios.ts";
import { metricsOf } from "../replay/tally.ts";
import type { NamedHost } from "../replay/trace-hosts.ts";
import { policyOf } from "../scaler/policy.ts";
import {
  CliError,
  type Command,
  configOption,
  exitCode,
  type Invocation,
  outputOption,
  textFlags,
  wantsJson,
} from "./command.ts";
import { compareShadow } from "./compare-shadow.ts";
import { describeComparison } from "./compare-text.ts";
import { compilerWarning } from "./compilers.ts";
import { PercentLine } from "./percent-line.ts";
import {
  countFlag,
  hostsOfTrace,
  isDatabase,
  seedFlag,
  traceOptions,
  traceSettings,
} from "./replay-source.ts";

/** What a comparison came to; as JSON, this is the output. */
export interface CompareReport {
  /** The first is A, the second B, and so on. */
  policies: string[];
  trials: Trial[];
  /** Each other policy against the first. */
  against: { policy: string; letter: string; comparison: Comparison }[];
  hosts: string;
  kernel: string;
  seeds: number;
  durationMs: number;
}

const mostPolicies = 8;
const mostSeeds = 1_000;
const mostDays = 366;
const firstMs = Date.UTC(2026, 0, 1);
const dayMs = 86_400_000;

/** `conductor compare`: which of several policies is better. */
export const compareCommand: Command = {
  name: "compare",
  summary: "Tell which of several policies is better, on traces and simulated hosts",
  usage: [
    "conductor compare A.yaml B.yaml [C.yaml …] [--trace FILE …] [--pattern NAME …] [--seeds N] [-o json]",
    "conductor compare --shadow [--since 7d] [-o json]",
  ].join("\n"),
  options: {
    trace: { type: "string", multiple: true, help: "A trace to run on; may be given several times" },
    pattern: {
      type: "string",
      multiple: true,
      help: `Simulated pressure: ${patternNames.join(", ")} or all (default, without --trace)`,
    },
    seeds: { type: "string", help: "Each trace and pattern is run with so many seeds (default: 10)" },
    days: { type: "string", help: "Length of a simulated host (default: 1)" },
    shadow: { type: "boolean", help: "Compare the shadow policies with the one that acts, from the record" },
    since: { type: "string", help: "With --shadow: how far back (default: 7d)" },
    ...configOption,
    ...traceOptions,
    ...outputOption,
  },
  notes: [
    "A policy is YAML with a scaler section or a whole configuration, or mission or adaptive. All run on the very",
    "same hosts, and differences are taken host by host. The interval is the 95 % interval of their mean (BCa",
    "bootstrap, Efron 1987); where it holds zero, or there are fewer than 5 hosts, one cannot tell. Overall,",
    "weighted availability decides, and where it cannot, kills of the kernel.",
  ],
  positionals: mostPolicies,
  run: async (invocation) => {
    if (invocation.flags.shadow === true) return compareShadow(invocation);
    const json = wantsJson(invocation);
    const policies = policiesOf(invocation);
    const { terminal } = invocation;
    const warning = compilerWarning(invocation.environment);
    if (warning !== null) terminal.err(warning);
    const progress = new PercentLine(terminal, () => Bun.nanoseconds());
    try {
      const report = await compare(invocation, policies, progress);
      progress.end();
      terminal.out(json ? JSON.stringify(report, null, 2) : describeComparison(report));
    } finally {
      progress.end();
    }
    return exitCode.ok;
  },
};

const letterOf = (index: number): string => String.fromCharCode(65 + index);

function policiesOf({ positionals, folder }: Invocation): LoadedPolicy[] {
  if (positionals.length >= 2) return positionals.map((file) => loadPolicy(file, folder));
  throw new CliError(
    "expected at least two policies, such as: conductor compare mission adaptive",
    exitCode.usage,
  );
}

async function compare(
  invocation: Invocation,
  policies: readonly LoadedPolicy[],
  progress: PercentLine,
): Promise<CompareReport> {
  const beginNs = Bun.nanoseconds();
  const seeds = countFlag(invocation, "seeds", { from: 1, to: mostSeeds, otherwise: 10 });
  const first = seedFlag(invocation);
  const { hosts, what } = hostsOf(
    invocation,
    Array.from({ length: seeds }, (_, i) => first + i),
    progress,
  );
  const { kernels, name, fellBackBecause } = await loadKernels();
  if (fellBackBecause !== null) invocation.terminal.err(`conductor: ${fellBackBecause}`);
  const runners = policies.map(
    ({ settings }) => new PolicyRunner(settings, kernels, policyOf(settings.scaler)),
  );
  const trials = hosts.map(({ label, model }, index): Trial => {
    const spanMs = model.endMs - model.beginMs;
    const metrics = runners.map((runner, policy) => {
      const onTick = ({ nowMs }: { nowMs: number }) => {
        const share = (policy + (nowMs - model.beginMs) / spanMs) / runners.length;
        progress.show(`${label} under ${policies[policy]?.name}`, (index + share) / hosts.length);
      };
      return metricsOf(runner.run(model, { onTick }));
    });
    return { label, metrics };
  });
  const against = policies.slice(1).map((policy, index) => ({
    policy: policy.name,
    letter: letterOf(index + 1),
    comparison: compared(trials, 0, index + 1, first),
  }));
  return {
    policies: policies.map((policy) => policy.name),
    trials,
    against,
    hosts: what,
    kernel: name,
    seeds,
    durationMs: (Bun.nanoseconds() - beginNs) / 1e6,
  };
}

function hostsOf(
  invocation: Invocation,
  seeds: readonly number[],
  progress: PercentLine,
): { hosts: NamedHost[]; what: string } {
  const traces = textFlags(invocation, "trace");
  const patterns = patternsOf(invocation, traces.length === 0);
  const days = countFlag(invocation, "days", { from: 1, to: mostDays, otherwise: 1 });
  const hosts: NamedHost[] = [];
  let [gaps, short] = [0, 0];
  for (const seed of seeds) {
    const settings = traceSettings(invocation, seed);
    for (const trace of traces) {
      if (isDatabase(invocation, trace))
        throw new CliError(
          `--trace ${trace}: is a database; conductor replay runs a policy on it`,
          exitCode.usage,
        );
      const read = hostsOfTrace(invocation, trace, settings, progress);
      gaps = seed === seeds[0] ? gaps + read.gaps : gaps;
      short = seed === seeds[0] ? short + read.short : short;
      hosts.push(
        ...read.hosts.map(({ label, model }) => ({ label: `${trace} ${label} seed ${seed}`, model })),
      );
    }
    for (const pattern of patterns) {
      const { budgetBytes } = settings;
      const span = { beginMs: firstMs, endMs: firstMs + days * dayMs };
      hosts.push({
        label: `${pattern} seed ${seed}`,
        model: generatedHost(pattern, { seed, budgetBytes, ...span }),
      });
    }
  }
  const cut = gaps > 0 ? ` (cut at ${gaps} gaps, ${short} stretches under 10 minutes left out)` : "";
  const parts = [
    ...(traces.length > 0 ? [`${traces.join(", ")}${cut}`] : []),
    ...(patterns.length > 0 ? [`${patterns.join(", ")}, ${days} ${days === 1 ? "day" : "days"} each`] : []),
  ];
  return { hosts, what: parts.join("; ") };
}

function patternsOf(invocation: Invocation, otherwiseAll: boolean): readonly PatternName[] {
  const asked = textFlags(invocation, "pattern").flatMap((text) => text.split(","));
  if (asked.includes("all") || (asked.length === 0 && otherwiseAll)) return patternNames;
  return asked.map((name) => {
    const known = patternNames.find((each) => each === name);
    if (known) return known;
    throw new CliError(`--pattern ${name}: expected one of ${patternNames.join(", ")}, all`, exitCode.usage);
  });
}
